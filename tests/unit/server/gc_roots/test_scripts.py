"""The shell programs for roots, run by a shell beside collectors, copies and sudden ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nix_remote.server.gc_roots.scripts import LIST_COMMAND, PAGE, REMOVE_COMMAND
from tests.support.paths import path
from tests.support.root_server import RootServer

OLD, NEW, THIRD = path("old"), path("new"), path("third")
DAY = 86400


@pytest.fixture
def server(tmp_path: Path) -> RootServer:
    return RootServer(tmp_path)


def records(server: RootServer) -> dict[str, str]:
    """Record of each root that is listed, by the store path."""
    listed = server.run(LIST_COMMAND)
    assert (listed.returncode, listed.stderr) == (0, "")
    first, *lines, last = listed.stdout.splitlines()
    assert first.startswith("nix-remote-roots 2 ")
    assert last == "end"
    return {line.split(" ")[-1]: line for line in lines if line != "other"}


def remove(server: RootServer, *lines: str, events: dict[int, str] | None = None) -> list[str]:
    done = server.run(REMOVE_COMMAND, "".join(f"{line}\n" for line in lines), events)
    assert (done.returncode, done.stderr) == (0, "")
    *said, last = done.stdout.splitlines()
    assert last == "end"
    return [line for line in said if line != "busy"]


def test_the_commands_pass_through_every_login_shell() -> None:
    for command in (LIST_COMMAND, REMOVE_COMMAND):
        text = command[2]
        assert not [bad for bad in ("'", "!", "\n", "\\\\") if bad in text]


def test_what_is_told_is_removed_and_nothing_else(server: RootServer) -> None:
    server.copy(OLD, age=DAY)
    server.copy(NEW)
    listed = records(server)
    assert remove(server, listed[OLD]) == [f"removed 1 app-1a2b3c4d/package/{OLD[11:]}"]
    assert not server.link(OLD).is_symlink()
    assert list(records(server)) == [NEW]
    server.do("collect")
    assert (server.is_valid(OLD), server.is_valid(NEW)) == (False, True)
    # Nothing of the removal is left but its lock.
    assert [each.name for each in (server.place / ".leaving").iterdir()] == ["lock"]


def test_more_than_one_page_of_roots_is_removed(server: RootServer) -> None:
    folder = server.place / "app-1a2b3c4d" / "many"
    folder.mkdir(parents=True)
    for number in range(11):
        os.symlink("/nix/store/x", folder / f"root-{number}")
    listed = server.run(LIST_COMMAND).stdout.splitlines()[1:-1]
    assert len(listed) == 11
    *words, text = REMOVE_COMMAND
    done = server.run((*words, text.replace(f"-lt {PAGE}", "-lt 4")), "\n".join(listed))
    assert done.stdout.count("removed ") == 11
    assert list(folder.iterdir()) == []


def test_a_removal_starts_no_process_for_each_root(server: RootServer) -> None:
    steps = []
    for count in (5, 105):
        for number in range(count):
            folder = server.place / "app-1a2b3c4d" / f"package-{number % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            name = path(f"{count}-{number}")
            os.symlink(name, folder / name[11:])
        assert len(remove(server, *records(server).values())) == count
        steps.append(server.steps)
    assert steps[1] < steps[0] + 10


def test_each_root_has_a_guard_of_the_path_that_a_copy_keeps_by_its_name(
    tmp_path: Path,
) -> None:
    # Names of every length, up to the longest; and one whose link somebody has made.
    paths = [path("n" * length) for length in (*range(1, 10), 178)]
    work = '"$HOME"/.local/state/nix-remote/gcroots/.leaving/work'
    guards = f'readlink {work}/slots.*/*/* >"$STATE/guards"'
    events: dict[int, str] = {}
    for run in ("count", "look"):
        server = RootServer(tmp_path / run)
        for each in paths:
            server.copy(each, age=DAY)
        server.link(OLD).symlink_to(NEW)
        lines = server.run(LIST_COMMAND).stdout.splitlines()[1:-1]
        assert len(remove(server, *lines, events=events)) == len(paths) + 1
        events = {server.steps - 4: guards}
    assert sorted((server.state / "guards").read_text().split()) == sorted([*paths, OLD])


def test_a_link_that_leads_elsewhere_gives_way_to_that_of_a_copy(server: RootServer) -> None:
    link = server.link(OLD)
    link.parent.mkdir(parents=True)
    for step in range(1, 40, 5):
        link.unlink(missing_ok=True)
        link.symlink_to("/nix/store/x")
        (_, line, _) = server.run(LIST_COMMAND).stdout.splitlines()
        event = server.renewal(OLD) + ': >"$STATE/collecting"'
        remove(server, line, events={step: event})
        if server.steps < step:
            break
        server.do("collect")
        assert os.readlink(link) == OLD, step
        assert server.is_valid(OLD), step
        (server.state / "collecting").unlink()


def test_a_root_that_was_used_after_it_was_listed_stays(server: RootServer) -> None:
    server.copy(OLD, age=DAY)
    listed = records(server)
    server.copy(OLD)
    assert remove(server, listed[OLD]) == []
    assert server.link(OLD).is_symlink()


def test_a_derivation_is_removed_and_made_anew_without_being_built(server: RootServer) -> None:
    drv = path("thing.drv")
    server.copy(drv, age=DAY)
    listed = records(server)
    remove(server, listed[drv], events={15: server.renewal(drv)})
    assert os.readlink(server.link(drv)) == drv


HOSTILE = ("a b", "new\nline", "back\\slash", "star*", "-rf *", "$(touch pwned)", "quote'\"")


def test_names_that_no_copy_makes_are_left_alone(server: RootServer) -> None:
    server.copy(OLD, age=DAY)
    for name in (*HOSTILE, ".hidden"):
        for folder in ("app-1/p", f"app-1/{name}", f"{name}/p"):
            (server.place / folder).mkdir(parents=True, exist_ok=True)
            os.symlink(NEW, server.place / folder / name)
    os.symlink("/etc/passwd", server.place / "app-1/p/passwd")
    os.symlink(NEW, server.place / "too-high")
    before = {each for each in server.place.rglob("*") if each.is_symlink()}
    listed = records(server)
    assert list(listed) == [OLD]
    assert server.run(LIST_COMMAND).stdout.count("other\n") == 3 * len(HOSTILE) + 2
    time = listed[OLD].split(" ")[1]
    forged = [f"1 {time} {name} {OLD}" for name in (*HOSTILE, "../../x/y/z", ".hidden/p/x")]
    assert remove(server, *forged) == []
    assert {each for each in server.place.rglob("*") if each.is_symlink()} == before


def test_a_folder_that_is_a_link_leads_nowhere(server: RootServer, tmp_path: Path) -> None:
    server.copy(OLD, age=DAY)
    outside = tmp_path / "outside" / "package"
    outside.mkdir(parents=True)
    used = server.link(OLD).lstat().st_mtime_ns
    os.symlink(OLD, outside / OLD[11:])
    os.utime(outside / OLD[11:], ns=(used, used), follow_symlinks=False)
    listed = records(server)
    workspace = server.place / "app-1a2b3c4d"
    swap = f'mv "{workspace}" "{workspace}.gone"; ln -s "{outside.parent}" "{workspace}"'
    for step in range(1, 50, 3):
        remove(server, listed[OLD], events={step: f'[ -L "{workspace}" ] || {{ {swap}; }}'})
        assert (outside / OLD[11:]).is_symlink()
        if not workspace.is_symlink():
            break
        workspace.unlink()
        (server.place / "app-1a2b3c4d.gone").rename(workspace)
        server.copy(OLD)
        os.utime(server.link(OLD), ns=(used, used), follow_symlinks=False)


def steps_of_a_removal(tmp_path: Path) -> int:
    server = RootServer(tmp_path / "count")
    server.copy(OLD, age=DAY)
    server.copy(NEW, age=DAY)
    listed = records(server)
    assert len(remove(server, listed[OLD], listed[NEW])) == 2
    return server.steps


def test_a_copy_and_a_collector_may_come_between_any_two_steps(tmp_path: Path) -> None:
    steps = steps_of_a_removal(tmp_path)
    assert steps > 20
    for step in range(1, steps + 1, 2):
        server = RootServer(tmp_path / str(step))
        server.copy(OLD, age=DAY)
        server.copy(NEW, age=DAY)
        listed = records(server)
        collecting = ': >"$STATE/collecting"'
        removed = remove(
            server, listed[OLD], listed[NEW], events={step: server.renewal(OLD) + collecting}
        )
        assert removed[-1:] == [f"removed 1 app-1a2b3c4d/package/{NEW[11:]}"], step
        server.do("collect")
        assert server.is_valid(OLD), step
        assert server.is_registered(server.link(OLD)), step
        assert not server.is_valid(NEW), step


def test_a_removal_may_be_cut_off_between_any_two_steps(tmp_path: Path) -> None:
    steps = steps_of_a_removal(tmp_path)
    for renewed_before in (True, False):
        for step in range(1, steps + 1, 2):
            server = RootServer(tmp_path / f"{renewed_before}-{step}")
            server.copy(OLD, age=DAY)
            server.copy(NEW, age=DAY)
            listed = records(server)
            kill = "collect; kill -9 0"
            event = server.renewal(OLD) + kill if renewed_before else kill
            done = server.run(REMOVE_COMMAND, f"{listed[OLD]}\n{listed[NEW]}\n", {step: event})
            assert done.returncode != 0
            server.do("collect")
            if not renewed_before:
                server.do(server.renewal(OLD) + "collect")
            assert server.is_valid(OLD), step
            # The next one cleans up, and keeps what is used.
            remove(server)
            server.do("collect")
            assert server.is_valid(OLD), step
            assert server.is_registered(server.link(OLD)), step
            assert not (server.place / ".leaving" / "work").exists()
