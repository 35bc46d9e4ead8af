"""Every entry of the table, in every mode: its store paths are on the server after the fetch.

One workspace for each mode uses them all at once. With a checkout of rules_nixpkgs the
same table runs against the real macros and extensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest

from lab import bazel, nix
from lab.bazel import Defaults
from lab.host import Host
from lab.lab import ALIAS, Lab
from tests.bazel import drop_ins
from tests.bazel.drop_ins import ENTRIES, Entry
from tests.bazel.modes import skip_unless_possible
from tests.bazel.observed_python import ObservedPython
from tests.bazel.project import Mode

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Fetched:
    """The state after all packages of the table were fetched."""

    mode: Mode
    output: str
    copied: dict[str, set[str]]
    """Package, by the name that the copier was told -> store paths."""
    links: dict[str, set[str]]
    """Repository -> the store paths of its out-links."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((Mode.BZLMOD, Defaults.NEWER), id="bzlmod"),
        pytest.param((Mode.BZLMOD, Defaults.SEVEN), id="bzlmod-seven", marks=pytest.mark.thorough),
        pytest.param((Mode.WORKSPACE, Defaults.SEVEN), id="workspace"),
    ],
)
def fetched(request: pytest.FixtureRequest, workstation: Host, lab: Lab) -> Iterator[Fetched]:
    mode, defaults = request.param
    skip_unless_possible(mode, workstation)
    nix.build(workstation, ["gcc"])
    nix.empty_store(lab.server)
    python = ObservedPython(workstation)
    python.install()
    workspace = bazel.new_workspace(workstation, defaults=defaults)
    workspace.write(drop_ins.files(mode))
    entries = [entry for entry in ENTRIES if mode in entry.modes]
    packages = [package for entry in entries for package in entry.packages]
    # Of some languages only the Nix side is here: their BUILD files cannot be loaded.
    done = workspace.bazel(
        "query",
        "--keep_going",
        " + ".join(f"@{package}//:all" for package in packages),
        env={"BAZEL_NIX_REMOTE": ALIAS, "NIX_REMOTE_PYTHON": python.path},
        timeout=240,
    )
    folders = workspace.repositories()
    links = {
        package: set(
            workstation.sh(f"readlink {folders[package]}/bazel-support/nix-out-link*").split()
        )
        for package in packages
        if package in folders
    }
    copied = {copy.option("package"): copy.store_paths for copy in python.copies()}
    yield Fetched(mode, done.text, copied, links)
    workspace.shut_down()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry.name))
def test_what_an_entry_realises_is_on_the_server(
    fetched: Fetched, entry: Entry, lab: Lab, rules_nixpkgs: Path
) -> None:
    if fetched.mode not in entry.modes:
        assert not set(entry.packages) & set(fetched.links)
        return
    if not (rules_nixpkgs / entry.needs).exists():
        assert f"nix_remote cannot offer the extension `{entry.name}`" in fetched.output
        return
    for package in entry.packages:
        assert package in fetched.links, fetched.output
        paths = fetched.links[package]
        assert fetched.copied.get(package) == paths, fetched.output
        for path in paths:
            nix.verify(lab.server, nix.closure(lab.workstation, path))


def test_all_outputs_of_a_package_are_among_them(fetched: Fetched) -> None:
    assert len(fetched.links["macro_package"]) == 2
