"""What the doctor makes of what it sees: of exports, disks, roots, keys, and workspaces."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from nix_remote.doctor import disks, exports, ssh_checks, store, workspace, workspace_files
from nix_remote.doctor.exports import Export
from nix_remote.doctor.finding import Finding, Status
from nix_remote.server.gc_roots.names import Root, Roots
from tests.support.paths import path

LISTENS = "listen 0801\n"
GOOD = "export /nix/store 10.0.0.0/8(ro,subtree_check)\n"
OWN_DISK = "mounted /\n"
BIND = "mounted /nix/store\n"
REST = "threads 32\ntimer enabled\n"


def statuses(found: list[Finding]) -> dict[str, str]:
    assert all(each.fix for each in found if each.status in (Status.WARNING, Status.BROKEN))
    return {each.subject: each.status.value for each in found}


@pytest.mark.parametrize(
    ("seen", "subject", "status"),
    [
        (GOOD + LISTENS + REST, "export", "ok"),
        (GOOD + LISTENS + REST, "server", "ok"),
        (GOOD + LISTENS + REST, "timer", "ok"),
        (GOOD + "listen 0802\n" + REST, "server", "broken"),
        (GOOD + LISTENS + "threads 8\ntimer enabled\n", "server", "warning"),
        (GOOD + LISTENS + "threads \ntimer enabled\n", "server", "ok"),
        (GOOD + LISTENS + "threads \ntimer not-found\n", "timer", "warning"),
        (GOOD + LISTENS + "threads \ntimer \n", "timer", "unknown"),
        (LISTENS + REST, "export", "unknown"),
        (REST, "export", "broken"),
        (GOOD.replace("ro,", "rw,") + LISTENS + REST, "export", "broken"),
        (GOOD.replace("10.0.0.0/8", "") + LISTENS + REST, "export", "warning"),
        (GOOD.replace("/nix/store", "/") + LISTENS + REST, "export", "warning"),
        (GOOD.replace("/nix/store", "/home") + REST, "export", "broken"),
        (GOOD.replace("subtree", "no_subtree") + LISTENS + REST, "export", "warning"),
        (GOOD.replace("subtree_check", "sync") + LISTENS + REST, "export", "warning"),
        (GOOD.replace("subtree_check", "sync") + LISTENS + OWN_DISK + REST, "export", "ok"),
        (GOOD.replace("subtree_check", "sync") + LISTENS + BIND + REST, "export", "warning"),
        (GOOD + LISTENS + REST + "lease 90\n", "server", "warning"),
        (GOOD + LISTENS + REST + "lease 15\n", "server", "ok"),
        (GOOD + LISTENS + REST + "lease \n", "server", "ok"),
        ("this account may not run that", "export", "unknown"),
        ("", "export", "unknown"),
    ],
)
def test_exports(seen: str, subject: str, status: str) -> None:
    assert statuses(exports.judge(seen))[subject] == status


def test_a_line_of_exports_with_several_clients_and_a_comment() -> None:
    parsed = exports.parse('"/nix/store" a(ro) b *.c(rw,sync) # d(rw)')
    assert parsed == [
        Export("/nix/store", "a", frozenset({"ro"})),
        Export("/nix/store", "b", frozenset({""})),
        Export("/nix/store", "*.c", frozenset({"rw", "sync"})),
    ]


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ("disk /nix/store 99999999 4096 10 5\ndisk /nix/var/nix/db 99999999 4096 10 5\n", "ok"),
        ("disk /nix/store 1000000 4096 10 5\n", "warning"),
        ("disk /nix/store 10 4096 10 5\n", "broken"),
        ("disk /nix/store 99999999 4096 10 0\n", "broken"),
        ("disk /nix/store 99999999 4096 0 0\n", "ok"),  # a file system without a number of inodes
        ("disk /nix/store 99999999 4096 10 5\nmount /nix/var ro,relatime\n", "broken"),
        ("refused\n", "unknown"),
    ],
)
def test_disks(seen: str, status: str) -> None:
    assert statuses(disks.judge(seen, "server"))["room"] == status


def test_a_server_without_the_usual_store() -> None:
    seen = "disk /nix/store \ndisk /nix/var/nix/db 99999999 4096 10 5\n"
    assert statuses(disks.judge(seen, "server")) == {"store": "broken"}


@pytest.mark.parametrize(("days", "status"), [(89, "ok"), (91, "warning")])
def test_old_roots_tell_that_nobody_removes_them(days: int, status: str) -> None:
    now = 1_000_000_000
    root = Root("app-1", "p", path("p"), now - days * 86400)
    assert store.judge_roots(Roots(now, (root,))).status.value == status


def test_roots_that_the_collector_does_not_count_are_told() -> None:
    root = Root("app-01234567", "hello", path("hello"), 0)
    assert store.judge_counted(3, frozenset()) == []
    (finding,) = store.judge_counted(3, frozenset([root]))
    assert statuses([finding]) == {"roots": "warning"}
    assert "1 of 3" in finding.text
    assert statuses(store.judge_counted(3, None)) == {"roots": "unknown"}


@pytest.mark.parametrize(
    ("name", "mode", "status"),
    [
        ("id_ed25519", 0o600, "ok"),
        ("id_ed25519", None, "ok"),  # one that ssh tries unasked
        ("nix-server", None, "warning"),
        ("nix-server", 0o640, "warning"),
        ("nix-server", 0o604, "warning"),
    ],
)
def test_key_files(name: str, mode: int, status: str) -> None:
    found = ssh_checks.judge_keys([ssh_checks.KeyFile(Path("/root/.ssh", name), mode)])
    assert statuses(found) == {"key": status}


def test_a_public_key_without_its_private_one_is_named_as_such() -> None:
    (finding,) = ssh_checks.judge_keys([ssh_checks.KeyFile(Path("/root/.ssh/a.pub"), 0o644, True)])
    assert "is a public key" in finding.text
    assert "chmod" not in finding.fix
    assert "ssh-add /root/.ssh/a" in finding.fix


def facts(rc: str = "", build: str = "", in_shell: str = "") -> dict[str, str]:
    files = {"MODULE.bazel": build}
    return statuses(
        workspace.judge(workspace.WorkspaceFacts("host", in_shell, {".bazelrc": rc}, files))
    )


REPO_ENV = "--repo_env=BAZEL_NIX_REMOTE"
STRICT = "common --experimental_strict_repo_env"


@pytest.mark.parametrize(
    ("rc", "status"),
    [
        (STRICT, "warning"),
        (f"{STRICT}=true", "warning"),
        (f"{STRICT}\ncommon --repo_env=SSH_AUTH_SOCK", None),
        (f"{STRICT}\ncommon --repo_env SSH_AUTH_SOCK=/run/agent", None),
        (f"{STRICT}=false", None),
        ("", None),
    ],
)
def test_fetches_see_the_ssh_agent(rc: str, status: Optional[str]) -> None:
    assert facts(rc).get("environment") == status


@pytest.mark.parametrize(
    ("rc", "in_shell", "status"),
    [
        (f"common {REPO_ENV}=host", "", "ok"),
        (f"build:remote --jobs=3 {REPO_ENV}=host", "", "ok"),
        ("common --repo_env BAZEL_NIX_REMOTE=host", "", "ok"),
        (f"common {REPO_ENV}", "host", "ok"),  # the shell's, but tracked
        (f"common {REPO_ENV}", "", "warning"),
        (f"common {REPO_ENV}=other", "", "warning"),
        (f'common "{REPO_ENV}=other host"', "", "ok"),  # several servers
        (f'common "{REPO_ENV}=other another"', "", "warning"),
        (f"# common {REPO_ENV}=host", "", "broken"),
        ('common "--unfinished', "", "broken"),
        ("build --action_env=BAZEL_NIX_REMOTE=host", "", "broken"),
        ("", "host", "warning"),
        ("", "", "broken"),
    ],
)
def test_the_variable(rc: str, in_shell: str, status: str) -> None:
    assert facts(rc, in_shell=in_shell)["variable"] == status


@pytest.mark.parametrize(
    ("build", "status"),
    [
        ('use_extension("@nix_remote//bzl:extensions.bzl", "nix_pkg")', "ok"),
        ('use_extension("@rules_nixpkgs_core//extensions:repository.bzl", "nix_repo")', "ok"),
        ('use_extension("@rules_nixpkgs_core//extensions:package.bzl", "nix_pkg")', "warning"),
        ('# use_extension("@rules_nixpkgs_core//extensions:package.bzl", "nix_pkg")', "ok"),
        ('load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_local_repository")', "ok"),
        ('load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_package")', "warning"),
        (
            'load(\n  "@io_tweag_rules_nixpkgs//nixpkgs:nixpkgs.bzl",\n  "nixpkgs_package",\n)',
            "warning",
        ),
        ('load("@nix_remote//bzl:nixpkgs.bzl", "nixpkgs_package")', "ok"),
        (
            'patch_cmds = ["load(\\"@nix_remote//bzl:whole_build.bzl\\", ...)"]\n'
            'use_extension("@rules_nixpkgs_core//extensions:package.bzl", "nix_pkg")',
            "ok",
        ),
    ],
)
def test_packages_that_are_not_covered(build: str, status: str) -> None:
    assert facts(build=build)["packages"] == status


def test_rc_files_are_followed_where_they_lead(tmp_path: Path) -> None:
    (tmp_path / "WORKSPACE").write_text("")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / ".bazelrc").write_text("import %workspace%/a.rc\ntry-import %workspace%/no.rc\n")
    (tmp_path / "a.rc").write_text("import %workspace%/.bazelrc\ncommon --x\n")
    assert workspace_files.root(tmp_path / "deep" / "down") == tmp_path
    found = workspace_files.rc_files(tmp_path)
    assert found[f"{tmp_path}/a.rc"].endswith("common --x\n")
    assert f"{tmp_path}/no.rc" not in found


def test_no_workspace(tmp_path: Path) -> None:
    assert workspace_files.root(tmp_path) is None
