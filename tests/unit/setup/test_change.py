"""Changes by the server's script, made to files of a test's own by a real shell."""

from __future__ import annotations

import os
import signal
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nix_remote.setup.bundle import script
from tests.golden.setup_files import BUNDLES

CHANGE = resources.files("nix_remote.setup").joinpath("change.sh").read_text()
LINE = "!include nix-remote.conf"


def run(steps: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs steps as a script does, in that folder."""
    # What this run of the tests ignores, such as the end of a terminal, the script must not ignore.
    return subprocess.run(
        ["env", "--default-signal=HUP,INT,TERM", "sh"],
        input=script("set -eu\n", CHANGE, f"step=trial\n{steps}\n"),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def look(folder: Path) -> dict[str, object]:
    """Everything in a folder: links, content, rights, owners."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content: object = path.is_file() and path.read_bytes()
        if path.is_symlink():
            content = os.readlink(path)
        found[str(path)] = (state.st_mode, state.st_uid, state.st_gid, content)
    return found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", [LINE]),
        ("a = b", ["a = b", LINE]),
        ("a = b\n", ["a = b", LINE]),
        ("a = b\r\nc = d", ["a = b\r", "c = d", LINE]),
        ("a = b\n\n", ["a = b", "", LINE]),
        (f"{LINE}", [LINE]),
        (f"{LINE}\r\na = b", [LINE + "\r", "a = b"]),
        (f"# {LINE}", [f"# {LINE}", LINE]),
    ],
)
def test_a_line_stands_alone_whatever_ends_the_others(
    tmp_path: Path, before: str, after: list[str]
) -> None:
    file = tmp_path / "conf"
    file.write_bytes(before.encode())
    file.chmod(0o640)
    for _ in range(2):
        done = run(f"add_line '{file}' '{LINE}' ''", tmp_path)
        assert done.returncode == 0, done.stderr
        assert file.read_bytes().decode().removesuffix("\n").split("\n") == after
    assert "nothing was changed" in done.stderr
    assert file.stat().st_mode & 0o777 == 0o640


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("a# =\r\n\t!é")))
def test_no_line_that_was_there_is_lost_or_joined(tmp_path: Path, before: str) -> None:
    file = tmp_path / "conf"
    file.write_bytes(before.encode())
    assert run(f"add_line '{file}' '{LINE}' ''", tmp_path).returncode == 0
    lines = before.encode().split(b"\n")
    whole = lines[:-1] if lines[-1] == b"" else lines
    assert file.read_bytes().split(b"\n") == [*whole, LINE.encode(), b""]


def test_a_file_that_is_not_there_is_made_with_its_folders(tmp_path: Path) -> None:
    file = tmp_path / "a/b/conf"
    assert run(f"add_line '{file}' '{LINE}' ''", tmp_path).returncode == 0
    assert file.read_text() == f"{LINE}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("sandbox = true", "sandbox = true"),
        ("trusted-users = root me", "trusted-users = root me copies\n"),
        ("trusted-users=root # us\nx = y\n", "trusted-users=root copies # us\nx = y\n"),
        ("trusted-users = root\r\nx = y\r\n", "trusted-users = root copies\r\nx = y\r\n"),
        ("trusted-users = a\ntrusted-users = b\n", "trusted-users = a\ntrusted-users = b copies\n"),
        ("trusted-users = *", "trusted-users = *"),
        ("trusted-users = copies me", "trusted-users = copies me"),
        ("trusted-users = copies2", "trusted-users = copies2 copies\n"),
        ("trusted-users =\n", "trusted-users = copies\n"),
        ("# trusted-users = a\nextra-trusted-users = b", None),
        ("trusted-users-x = a", None),
    ],
)
def test_a_word_is_added_to_a_setting_that_is_there(
    tmp_path: Path, before: str, after: str | None
) -> None:
    file = tmp_path / "conf"
    file.write_bytes(before.encode())
    for _ in range(2):
        done = run(f"add_to_setting '{file}' trusted-users copies", tmp_path)
        assert done.returncode == 0, done.stderr
    assert file.read_bytes().decode() == (before if after is None else after)


STEPS = """
printf 'new\\n' >text
put "$PWD/dir/here" '' <text
put "$PWD/link" '' <text
put "$PWD/new/deep/file" '' <text
add_line "$PWD/lines" more ''
folder "$PWD/dir" "$(id -un):$(id -gn)" 711
folder "$PWD/made" "$(id -un):$(id -gn)" 755
settle "touch '$PWD/settled'"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir(mode=0o700)
    (tmp_path / "dir/here").write_text("old")
    (tmp_path / "dir/here").chmod(0o604)
    (tmp_path / "real").write_text("real\n")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "lines").write_text("one\ntwo")
    (tmp_path / "text").write_text("new\n")
    return tmp_path


def test_what_was_changed_is_put_back_if_a_step_fails(place: Path) -> None:
    before = look(place)
    failed = run(f"{STEPS}step='the last one'\nfalse", place)
    assert failed.returncode == 1
    assert "this step failed: the last one" in failed.stderr
    assert "the machine is as it was before" in failed.stderr
    assert (place / "settled").exists()
    (place / "settled").unlink()
    assert look(place) == before


def test_a_change_that_cannot_be_put_back_is_named(place: Path) -> None:
    failed = run(f"{STEPS}undo 'false at all'\nfalse", place)
    assert "this could not be undone: false at all" in failed.stderr
    assert "as it was before" not in failed.stderr
    assert (place / "dir/here").read_text() == "old"


@pytest.mark.parametrize("end", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_what_was_changed_is_put_back_at_a_signal(place: Path, end: signal.Signals) -> None:
    before = look(place)
    failed = run(f"{STEPS}kill -{end.name[3:]} $$\ntouch '{place}/afterwards'", place)
    assert failed.returncode == 128 + end
    (place / "settled").unlink()
    assert look(place) == before


def test_all_changes_stay_if_no_step_fails_and_links_stay_links(place: Path) -> None:
    done = run(STEPS, place)
    assert done.returncode == 0, done.stderr
    assert (place / "link").is_symlink()
    assert (place / "real").read_text() == "new\n"
    assert (place / "dir/here").stat().st_mode & 0o777 == 0o604
    assert (place / "dir").stat().st_mode & 0o777 == 0o711
    assert (place / "lines").read_text() == "one\ntwo\nmore\n"
    again = run(STEPS, place)
    assert "changed:" not in again.stderr
    assert "nothing was changed" in again.stderr


def test_every_problem_is_told_before_the_first_change(place: Path) -> None:
    (place / "dangling").symlink_to("nowhere")
    checks = f"check_writable '{place}/dangling'\ncheck_writable '{place}/dir'\nbegin\n"
    refused = run(checks + STEPS, place)
    assert refused.returncode == 1
    assert "dangling is a link to nothing" in refused.stderr
    assert "dir is a folder" in refused.stderr
    assert refused.stderr.endswith("nothing was changed\n")
    assert (place / "dir/here").read_text() == "old"


SCRIPTED = [name for name, bundle in BUNDLES.items() if bundle.script]


@pytest.mark.parametrize("name", SCRIPTED)
def test_a_script_that_arrives_in_part_does_nothing(name: str, tmp_path: Path) -> None:
    """As when the connection breaks that a shell reads it from."""
    whole = BUNDLES[name].script
    called = tmp_path / "called"
    for program in ("apt-get", "awk", "cat", "chmod", "getent", "grep", "mkdir", "mktemp", "mv"):
        stub = tmp_path / "bin" / program
        stub.parent.mkdir(exist_ok=True)
        # The shell that runs it is ended at once: it may be about to write to this machine.
        stub.write_text(f"#!/bin/sh\n: >{called}\nkill -9 $PPID\n")
        stub.chmod(0o755)

    def feed(text: str) -> None:
        environment = {"PATH": str(tmp_path / "bin")}
        argv = ["/bin/sh"]
        subprocess.run(argv, input=text.encode(), env=environment, timeout=20, check=False)

    ends = [at for at, character in enumerate(whole) if character == "\n"][:-1]
    for end in {*ends[:: max(1, len(ends) // 40)], len(whole) - 2}:
        feed(whole[:end])
        assert not called.exists(), whole[:end][-200:]
    feed(whole)
    assert called.exists()
