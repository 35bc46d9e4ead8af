"""What the programs say that look at the server's disk, in the words of each version of Nix."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Callable, Sequence

import pytest

from nix_remote.errors import ContentsUnreadable
from nix_remote.server.remote_exec import Finished, RemoteExec
from nix_remote.server.stores.base import Damage
from nix_remote.server.verify import PRESENT_COMMAND, VERIFY, Damaged, absent, damaged
from nix_remote.store.paths import PathInfo, StorePath, base_name
from tests.support.paths import info, path

GLIBC, BASH, HELLO = path("glibc"), path("bash"), path("hello")
Answer = Callable[[Sequence[str], bytes], Finished]


class Fake(RemoteExec):
    """Programs that answer as told, and remember how they were called."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.commands: list[Sequence[str]] = []

    def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
        self.commands.append(command)
        return self._answer(command, stdin)


def verified(answer: Answer, *infos: PathInfo) -> tuple[dict[StorePath, Damage], Fake]:
    fake = Fake(answer)
    found = damaged(fake, "s", infos)
    return {path: each.damage for path, each in found.items()}, fake


def modified(path: str) -> str:
    return f"path '{path}' was modified! expected hash 'sha256:a', got 'sha256:b'"


ABSENT = {
    "2.8": "error: getting status of '{path}': No such file or directory",
    "2.26": "error: path '/{path}' does not exist",
    "2.34": "error: path '{path}/' does not exist",
}


@pytest.mark.parametrize("version", ABSENT)
def test_what_is_gone_and_what_has_changed_are_told_apart(version: str) -> None:
    bad = {GLIBC: modified(GLIBC), BASH: ABSENT[version].format(path=BASH)}

    def verify(command: Sequence[str], _stdin: bytes) -> Finished:
        message = []
        for each in command[2:]:
            if each in bad:
                message.append(bad[StorePath(each)])
                if each == BASH:
                    break  # it goes no further
        return Finished(1 if message else 0, "", "\n".join(message))

    found, fake = verified(verify, info("glibc"), info("bash"), info("hello"))
    assert found == {GLIBC: Damage.CHANGED, BASH: Damage.ABSENT}
    assert fake.commands == [(*VERIFY, GLIBC, BASH, HELLO), (*VERIFY, HELLO)]


def test_a_file_below_a_path_that_cannot_be_read_is_a_change() -> None:
    message = f"error: opening file '{GLIBC}/lib/libc.so': Input/output error"
    found, _ = verified(lambda *_: Finished(1, "", message), info("glibc"))
    assert found == {GLIBC: Damage.CHANGED}
    message = f"error: getting status of '{GLIBC}/lib': No such file or directory"
    found, _ = verified(lambda *_: Finished(1, "", message), info("glibc"))
    assert found == {GLIBC: Damage.CHANGED}


def test_a_whole_closure_takes_one_program() -> None:
    found, fake = verified(lambda *_: Finished(0, "", ""), info("glibc"), info("bash"))
    assert found == {}
    assert len(fake.commands) == 1


def test_no_path_is_lost_of_more_than_a_transport_keeps_of_standard_error() -> None:
    infos = [info(f"p{number}") for number in range(200)]
    kept = 4096

    def verify(command: Sequence[str], _stdin: bytes) -> Finished:
        message = "\n".join(map(modified, command[2:]))
        return Finished(1, "", message[-kept:])

    found, _ = verified(verify, *infos)
    assert found == dict.fromkeys((one.path for one in infos), Damage.CHANGED)


def test_one_program_reads_no_more_than_it_has_time_for() -> None:
    big = [replace(info(f"big{number}"), nar_size=3 * 1024**3) for number in range(3)]
    _, fake = verified(lambda *_: Finished(0, "", ""), *big)
    assert len(fake.commands) == 3


@pytest.mark.parametrize(
    "answer",
    [
        Finished(126, "", "nix-remote-dispatcher: this account may not run that"),
        Finished(1, "nix-daemon protocol", ""),
        Finished(1, "", "error: cannot open connection to remote store 'daemon'"),
        Finished(1, "", f"{modified(GLIBC)}\nerror: reading from file: Connection reset by peer"),
        Finished(1, "", f"{modified(GLIBC)}\n{ABSENT['2.34'].format(path=HELLO)}"),
    ],
)
def test_an_account_that_may_not_have_it_read_is_told(answer: Finished) -> None:
    with pytest.raises(ContentsUnreadable, match="cannot check"):
        verified(lambda *_: answer, info("glibc"))


def test_the_look_at_the_disk_names_what_is_gone() -> None:
    def present(command: Sequence[str], stdin: bytes) -> Finished:
        assert command == PRESENT_COMMAND
        assert stdin.decode().split() == [base_name(GLIBC), base_name(BASH)]
        return Finished(0, f"gone {base_name(BASH)}\nlooked\n", "")

    fake = Fake(present)
    assert absent(fake, "s", [GLIBC, BASH]) == {BASH}
    assert len(fake.commands) == 1


def test_where_everything_is_gone_the_names_do_not_fill_the_channel_in_both_directions() -> None:
    paths = [path(f"p{number}") for number in range(12_000)]
    held = 1024 * 1024  # half of what OpenSSH lets be under way

    def present(_command: Sequence[str], stdin: bytes) -> Finished:
        lines = "".join(f"gone {name}\n" for name in stdin.decode().split())
        assert len(stdin) < held
        assert len(lines) < held
        return Finished(0, lines + "looked\n", "")

    assert absent(Fake(present), "s", paths) == frozenset(paths)


@pytest.mark.parametrize(
    "answer",
    [
        Finished(126, "", "this account may not run that"),
        Finished(0, "", ""),
        Finished(0, "gone something", ""),
        Finished(1, "looked\n", ""),
    ],
)
def test_a_look_that_did_not_come_to_its_end_says_nothing(answer: Finished) -> None:
    with pytest.raises(ContentsUnreadable):
        absent(Fake(lambda *_: answer), "s", [GLIBC])


def test_the_command_itself_looks_in_the_store_only() -> None:
    def run(stdin: str) -> list[str]:
        done = subprocess.run(
            PRESENT_COMMAND, input=stdin, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.splitlines()

    absent = base_name(path("never-built"))
    # A name that leads out of the store is looked up by its last component, in the store.
    assert run(f"{absent}\n../../etc/passwd\n") == [
        f"gone {absent}",
        "gone ../../etc/passwd",
        "looked",
    ]
    assert run("") == ["looked"]


def test_the_words_of_the_server_are_kept() -> None:
    fake = Fake(lambda *_: Finished(1, "", modified(GLIBC)))
    found = damaged(fake, "s", [info("glibc")])
    assert found == {GLIBC: Damaged(Damage.CHANGED, modified(GLIBC))}
