"""What the doctor makes of an executor's mounts, and that its program is a file of its own."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
import threading

import pytest

from nix_remote.doctor import executor, on_executor

GOOD = (
    "33 20 0:28 / /nix/store ro,nosuid,nodev,relatime - nfs4 10.0.0.1:/nix/store"
    " ro,vers=4.2,hard,proto=tcp,acdirmin=1,acdirmax=1,addr=10.0.0.1"
)


def statuses(mountinfo: str, settle: float = 1.0) -> dict[str, str]:
    mount = on_executor.mount_of("/nix/store", mountinfo)
    return {each.subject: each.status for each in on_executor.judge_mount(mount, settle)}


def test_a_good_mount() -> None:
    assert set(statuses(GOOD).values()) == {"ok"}


@pytest.mark.parametrize(
    ("before", "after", "subject", "status"),
    [
        ("acdirmin=1,acdirmax=1,", "", "new paths", "broken"),
        ("acdirmax=1", "acdirmax=3", "new paths", "broken"),
        ("acdirmax=1", "acdirmax=0", "new paths", "ok"),
        ("acdirmin=1,acdirmax=1", "lookupcache=pos", "new paths", "ok"),
        ("acdirmin=1,acdirmax=1", "lookupcache=none", "new paths", "ok"),
        ("acdirmin=1,acdirmax=1", "acregmin=0,noac", "new paths", "ok"),
        ("vers=4.2", "vers=3", "new paths", "broken"),
        (
            "vers=4.2,hard,proto=tcp,acdirmin=1,acdirmax=1",
            "vers=3,lookupcache=pos",
            "new paths",
            "ok",
        ),
        ("hard", "soft", "patience", "warning"),
        ("nfs4", "ext4", "new paths", "unknown"),
        (" ro,nosuid", " rw,nosuid", "read-only", "ok"),  # the file system is read-only
        (" ro,vers", " rw,vers", "read-only", "ok"),  # the mount is
    ],
)
def test_one_thing_that_is_different(before: str, after: str, subject: str, status: str) -> None:
    assert before in GOOD
    assert statuses(GOOD.replace(before, after, 1))[subject] == status


def test_the_mount_and_the_settle_time_of_copies_must_agree() -> None:
    slow = GOOD.replace("acdirmax=1", "acdirmax=30")
    assert statuses(slow, settle=30.0)["new paths"] == "ok"
    assert statuses(GOOD, settle=0.5)["new paths"] == "broken"
    (found,) = (
        each
        for each in on_executor.judge_mount(on_executor.mount_of("/nix/store", slow), 1.0)
        if each.subject == "new paths"
    )
    assert "up to 30 s" in found.text
    assert "waits only 1 s" in found.text
    # Either of the two is to be changed.
    assert "acdirmax=1: nix-remote setup executor" in found.fix
    assert "NIX_REMOTE_SETTLE=30" in found.fix


def test_the_program_knows_the_settle_time_of_copies() -> None:
    namespace: dict[str, object] = {"__name__": "on_executor"}
    exec(executor.program(2.5), namespace)
    assert namespace["SETTLE"] == 2.5


@pytest.mark.parametrize(
    ("options", "processes", "expected"),
    [
        ("", ["cachefilesd"], []),
        (",fsc", ["bash"], ["warning"]),
        (",fsc", ["bash", "cachefilesd"], ["ok"]),
    ],
)
def test_the_cache(options: str, processes: list[str], expected: list[str]) -> None:
    mount = on_executor.mount_of("/nix/store", GOOD + options)
    found = on_executor.judge_cache(mount, processes)
    assert [each.status for each in found] == expected
    assert all(each.fix for each in found if each.status == "warning")


def test_a_mount_that_can_be_written() -> None:
    writable = GOOD.replace(" ro,nosuid", " rw,nosuid").replace(" ro,vers", " rw,vers")
    assert statuses(writable)["read-only"] == "broken"


def test_of_several_mounts_the_last_is_what_is_seen() -> None:
    old = GOOD.replace("acdirmin=1,acdirmax=1,", "")
    assert statuses(f"{old}\n{GOOD}\n")["new paths"] == "ok"
    assert statuses(f"{GOOD}\n{old}\n")["new paths"] == "broken"


@pytest.mark.parametrize("text", ["", "odd", GOOD.replace("/nix/store ro", "/nix ro"), "- - -"])
def test_without_a_mount_nothing_else_is_said(text: str) -> None:
    assert statuses(text) == {"store": "broken"}


def test_optional_fields_of_mountinfo_are_skipped() -> None:
    shared = GOOD.replace(" - nfs4", " shared:1 master:2 - nfs4")
    assert statuses(shared) == statuses(GOOD)


def test_a_look_that_hangs_has_a_bound_and_one_that_fails_says_why() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        on_executor.bounded(never.wait, 0.05)
    never.set()
    with pytest.raises(FileNotFoundError):
        on_executor.bounded(lambda: os.stat("/nonexistent"))
    assert on_executor.bounded(lambda: 7) == 7


def test_the_program_needs_nothing_but_the_standard_library() -> None:
    for node in ast.walk(ast.parse(executor.program(1.0))):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= set(sys.stdlib_module_names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module in sys.stdlib_module_names


def test_the_program_runs_from_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-", "--json", "/etc/passwd"],
        input=executor.program(1.0),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.startswith('[{"layer": "mount"')
    assert done.stderr == ""


def test_a_server_that_stops_answering_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = threading.Event()
    monkeypatch.setattr(on_executor, "_read_a_little", lambda path: never.wait())
    monkeypatch.setattr(on_executor.bounded, "__defaults__", (0.05,))
    found = on_executor.check_paths([f"/nix/store/{name}" for name in "abc"])
    never.set()
    assert [(each.subject, each.status) for each in found] == [("/nix/store/a", "broken")]


@pytest.mark.parametrize("path", ["/etc/passwd", "nix/store/x", "/nix/store"])
def test_what_is_no_store_path_is_told(path: str) -> None:
    assert on_executor.check_path(path).status == "broken"


def test_many_paths_are_asked_for_in_parts() -> None:
    parts = list(executor._parts([str(number) for number in range(1201)]))
    assert [len(part) for part in parts] == [500, 500, 201]
    assert list(executor._parts([])) == [[]]


def test_a_mount_of_a_server_that_was_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(_: str) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "stat", stale)
    (found,) = on_executor.check_store()
    assert (found.status, found.fix) == ("broken", on_executor.MOUNT_AGAIN)
