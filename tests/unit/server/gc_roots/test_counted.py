from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

import pytest

from nix_remote.server.gc_roots.counted import COUNT_COMMAND, uncounted
from nix_remote.server.gc_roots.names import FOLDER, Root
from nix_remote.server.remote_exec import Finished, RemoteExec
from nix_remote.store.paths import base_name
from tests.support.paths import path

HELLO, BASH = path("hello"), path("bash")
ROOTS = [
    Root("app-1", "hello", HELLO, 0),
    Root("app-1", "bash", BASH, 0),
    Root("app-1", "hello", HELLO, 0, folder_number=2),
]
HOME = f"/home/me/{FOLDER}"
OWN = "/nix/var/nix/gcroots/nix-remote/me"


@dataclass
class Printing(RemoteExec):
    """A server whose programs print that."""

    printed: str
    status: int = 0

    def run_lines(
        self,
        command: Sequence[str],
        take: Callable[[str], None],
        *,
        at_most: int,
        stdin: bytes = b"",
        waiting_for: str,
    ) -> Finished:
        assert command == COUNT_COMMAND
        for line in self.printed.splitlines():
            take(line)
        return Finished(self.status, "", "")


def link(root: Root, place: str) -> str:
    return f"{place}/{root.location}"


def test_a_root_is_counted_where_nix_prints_it_and_nowhere_else() -> None:
    printed = (
        f"place 1 {HOME}\nplace 2 {OWN}\n"
        f"{link(ROOTS[0], HOME)} -> {HELLO}\n"
        # Another account's; another path than the link has; not at the place of that number.
        f"{link(ROOTS[1], '/home/you/' + FOLDER)} -> {BASH}\n"
        f"{link(ROOTS[1], HOME)} -> {HELLO}\n"
        "end\n"
    )
    assert uncounted(Printing(printed), ROOTS) == frozenset(ROOTS[1:])


def test_links_in_quotes_are_read_as_well() -> None:
    lines = "".join(f'"{link(root, HOME)}" -> {root.path}\n' for root in ROOTS[:2])
    printed = f"place 1 /srv/x\nplace 1 {HOME}\n{lines}end\n"
    assert uncounted(Printing(printed), ROOTS[:2]) == frozenset()


@pytest.mark.parametrize(
    "answer",
    [Printing("", 126), Printing(f"place 1 {HOME}\n"), Printing("Welcome\n"), Printing("")],
)
def test_without_a_whole_answer_nothing_is_known(answer: RemoteExec) -> None:
    assert uncounted(answer, ROOTS) is None


def test_the_command_prints_places_and_the_roots_that_can_be_in_them(tmp_path: Path) -> None:
    home = os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)
    nix_store = tmp_path / "nix-store"
    root = f"{home}/{FOLDER}/app-1/hello/{base_name(HELLO)}"
    nix_store.write_text(f"#!/bin/sh\necho '{root} -> {HELLO}'\necho '/proc/1/exe -> {BASH}'\n")
    nix_store.chmod(0o755)

    def printed() -> list[str]:
        run = subprocess.run(
            COUNT_COMMAND,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        return run.stdout.splitlines()

    lines = printed()
    assert lines[0] == f"place 1 {home}/{FOLDER}"
    assert lines[-2:] == [f"{root} -> {HELLO}", "end"]
    nix_store.write_text("#!/bin/sh\nexit 1\n")
    assert "end" not in printed()
