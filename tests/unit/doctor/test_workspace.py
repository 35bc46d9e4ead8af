from __future__ import annotations

from typing import Sequence

from nix_remote.doctor.finding import Finding, Status
from nix_remote.doctor.workspace import WorkspaceFacts, judge

PLAIN = 'use_extension("@rules_nixpkgs_core//extensions:package.bzl", "nix_pkg")\n'
OURS = 'use_extension("@nix_remote//bzl:extensions.bzl", "nix_pkg")\n'
WHOLE_BUILD = 'patch_cmds = ["echo \'load(\\"@nix_remote//bzl:whole_build.bzl\\", ...)\'"]\n'


def packages(module: str, not_copied: Sequence[str] = ()) -> list[Finding]:
    facts = WorkspaceFacts("nix-server", "", {}, {"MODULE.bazel": module}, not_copied)
    return [finding for finding in judge(facts) if finding.subject == "packages"]


def test_packages_from_nix_remote_are_covered() -> None:
    (finding,) = packages(OURS)
    assert finding.status is Status.OK


def test_packages_from_rules_nixpkgs_are_not() -> None:
    (finding,) = packages(OURS + PLAIN)
    assert finding.status is Status.WARNING
    assert finding.text.startswith("MODULE.bazel:2 ")


def test_the_whole_build_covers_them() -> None:
    (finding,) = packages(WHOLE_BUILD + PLAIN)
    assert finding.status is Status.OK


def test_what_was_fetched_and_not_copied_is_named() -> None:
    (finding,) = packages(OURS, [f"package_{number}" for number in range(12)])
    assert finding.status is Status.WARNING
    assert "package_0, package_1" in finding.text
    assert finding.text.endswith("package_9 and 2 more")


def test_a_file_in_the_place_of_a_manifest_is_named() -> None:
    file = "external/evil/bazel-support/nix-remote/manifest.json: no fetch of this user wrote it"
    facts = WorkspaceFacts("server", "server", {}, {}, unusable=[file])
    (found,) = [each for each in judge(facts) if each.subject == "manifest"]
    assert found.status is Status.WARNING
    assert file in found.text
