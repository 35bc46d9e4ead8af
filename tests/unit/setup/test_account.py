"""The dispatcher is run here as sshd would run it, with programs that only say what they are."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nix_remote.errors import SetupInputUnusable
from nix_remote.server import opener
from nix_remote.server.gc_roots import home
from nix_remote.server.gc_roots.names import GCROOTS
from nix_remote.server.gc_roots.scripts import LIST_COMMAND, REMOVE_COMMAND
from nix_remote.server.nix_commands import COLLECT_NOTHING, FIND_ROOTS, realise
from nix_remote.server.server_commands import VERSION_COMMAND
from nix_remote.server.stores.base import DurableRoot
from nix_remote.server.verify import PRESENT_COMMAND, VERIFY
from nix_remote.setup import account as restricted
from tests.support.paths import path

ROOT = DurableRoot(path("hello-1.0+x?=y_z"), ".local/state/nix-remote/gcroots/app-01234567/p/hello")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v me@here"


USER = pwd.getpwuid(os.getuid()).pw_name
REAL_HOME = os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder, with the dispatcher; `nix-daemon` and `nix-store` say how they were called."""
    home = tmp_path_factory.mktemp("account")
    (home / "bin").mkdir()
    for name in ("nix-daemon", "nix-store"):
        program = home / "bin" / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\nenv >&2\n')
        program.chmod(0o755)
    text = restricted.dispatcher()
    assert "\nPATH=/run/current" in text
    text = text.replace("\nPATH=/run/current", f"\nPATH={home}/bin:/run/current")
    (home / "dispatcher").write_text(text)
    return home


def ask(account: Path, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """What becomes of a command that the client sends; it must leave no trace in the home."""
    return subprocess.run(
        ["sh", str(account / "dispatcher")],
        env={
            "HOME": str(account),
            "SSH_ORIGINAL_COMMAND": command,
            "PATH": os.defpath,
            "EVIL": "1",
        },
        cwd=account,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        *(opener.WORKER_COMMAND, opener.SERVE_COMMAND, COLLECT_NOTHING, realise(ROOT)),
        realise(replace(ROOT, location=f"/nix/var/nix/gcroots/nix-remote/{USER}/app/p/hello")),
        realise(replace(ROOT, location=f"{REAL_HOME}/{ROOT.location}")),
        VERSION_COMMAND,
        (*VERIFY, path("hello")),
        (*VERIFY, path("hello-1.0+x?=y_z"), path("other")),
    ],
    ids=" ".join,
)
def test_what_the_client_sends_is_run_word_by_word(account: Path, command: Sequence[str]) -> None:
    done = ask(account, shlex.join(command))
    assert done.stdout.splitlines() == list(command)
    assert "EVIL" not in done.stderr
    assert "SSH_ORIGINAL_COMMAND" not in done.stderr


def test_the_disk_is_looked_at(account: Path) -> None:
    done = ask(account, shlex.join(PRESENT_COMMAND), stdin=f"{'0' * 32}-never-built\n")
    assert done.stdout.splitlines() == [f"gone {'0' * 32}-never-built", "looked"]


def test_the_programs_for_roots_are_run(account: Path) -> None:
    # They ask passwd for the home folder; what they do there has tests of its own.
    for command in (LIST_COMMAND, REMOVE_COMMAND):
        done = ask(account, shlex.join(command))
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "end")


def test_the_home_folder_is_told_and_roots_are_found(account: Path) -> None:
    answer = home.parse(ask(account, shlex.join(home.HOME_COMMAND)).stdout, now=0.0)
    assert answer.home == REAL_HOME
    assert answer.clock is not None
    found = ask(account, shlex.join(FIND_ROOTS), "--print-roots\n--max-freed\n")
    assert found.stdout.splitlines() == ["--print-roots", "complete"]


STORE_PATH = path("hello")
FOLDER = ".local/state/nix-remote/gcroots"


@pytest.mark.parametrize(
    "command",
    [
        *("", " ", "sh", "id", "nix-store", "nix-daemon", "nix-daemon --stdio ", "nix-store --gc"),
        *("nix-daemon --stdio; id", "nix-daemon --stdio\nid", "nix-store --gc --max-freed 0 -x"),
        *("nix-daemon  --stdio", "$(id)", "`id`", "sh -c id", "/bin/sh", "nix-store --delete /x"),
        shlex.join(LIST_COMMAND) + "; id",
        shlex.join(LIST_COMMAND).replace("date", "id; date"),
        shlex.join((*REMOVE_COMMAND, "x")),
        f"nix-store --realise {STORE_PATH}",
        f"nix-store --realise {STORE_PATH} --add-root",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}/",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}/../../../../.bashrc",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}/a/../b",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}//etc",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}/.leaving/work/plan",
        f"nix-store --realise {STORE_PATH} --add-root {REAL_HOME}/{FOLDER}/app/.hidden",
        f"nix-store --realise {STORE_PATH} --add-root /etc/profile",
        f"nix-store --realise {STORE_PATH} --add-root /nix/var/nix/gcroots/a",
        f"nix-store --realise {STORE_PATH} --add-root /nix/var/nix/gcroots/nix-remote/other/a",
        f"nix-store --realise {STORE_PATH} --add-root {GCROOTS}/nix-remote/{USER}/../other/a",
        f"nix-store --realise {STORE_PATH} --add-root {GCROOTS}/nix-remote/{USER}",
        f"nix-store --realise {STORE_PATH} --add-root {REAL_HOME}/.bashrc",
        f"{shlex.join(FIND_ROOTS)}; id",
        shlex.join(home.HOME_COMMAND).replace("id -un", "id"),
        f"nix-store --realise {STORE_PATH} --add-root .ssh/authorized_keys2",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}/a --option builders x",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}/a;id",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}/$(id)",
        f"nix-store --realise {STORE_PATH} --add-root {FOLDER}/a\n--x",
        f"nix-store --realise {STORE_PATH} --add-root\t{FOLDER}/a\tb",
        f"nix-store --realise {STORE_PATH}/../../../etc/passwd --add-root {FOLDER}/a",
        f"nix-store --realise --option --add-root {FOLDER}/a",
        f"nix-store --realise /nix/store/.links --add-root {FOLDER}/a",
        f"nix-store --realise /nix/store/* --add-root {FOLDER}/a",
        f"nix-store --realise {STORE_PATH} --indirect {FOLDER}/a --add-root x",
        f"x nix-store --realise {STORE_PATH} --add-root {FOLDER}/a",
        "nix-store --verify-path --repair",
        f"nix-store --verify-path {STORE_PATH} --option builders x",
        f"nix-store --verify-path {STORE_PATH};id",
        f"nix-store --verify-path {STORE_PATH} $(id)",
        f"nix-store --verify-path {STORE_PATH}/../../../etc/shadow",
        "nix-store --verify-path /nix/store/.links",
        "nix-store --verify-path /nix/store/*",
        "nix-store --verify-path /etc/shadow",
    ],
)
def test_anything_else_is_refused(account: Path, command: str) -> None:
    before = sorted(account.rglob("*"))
    done = ask(account, command)
    assert done.returncode == 126
    assert done.stdout == ""
    assert done.stderr == "nix-remote-dispatcher: this account may not run that\n"
    assert sorted(account.rglob("*")) == before


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            (
                *("nix-store", "--realise", "--add-root", "nix-daemon", "--stdio", " ", "\n", "\t"),
                *(f"{FOLDER}/a", STORE_PATH, ";", "id", "$(id)", "`id`", "'", '"', "\\", "*", ".."),
            )
        )
        | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3),
        max_size=9,
    ).map("".join)
)
def test_fuzz_the_dispatcher(account: Path, command: str) -> None:
    done = ask(account, command)
    assert done.returncode in (0, 126)
    if done.returncode == 0:
        words = done.stdout.splitlines()
        assert words in (["nix-daemon", "--stdio"], [*realise(DurableRoot(STORE_PATH, words[-1]))])


def test_without_a_command_there_is_no_shell(account: Path) -> None:
    done = subprocess.run(
        ["sh", str(account / "dispatcher")],
        env={"HOME": str(account)},
        input="id\n",
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert (done.returncode, done.stdout) == (126, "")


def test_the_line_for_authorized_keys_allows_the_dispatcher_only() -> None:
    kind, blob, _ = KEY.split()
    line = restricted.authorized_keys_line(KEY + "\n")
    assert line == f'restrict,command="{restricted.DISPATCHER_PATH}" {kind} {blob}'


@pytest.mark.parametrize(
    "key",
    [
        *("", "ssh-ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----", f'command="sh" {KEY}'),
        *(f"{KEY}\n{KEY}", "ssh-ed25519 AAAA\nssh-ed25519 BBBB", "ssh-ed25519 $(id)", "a b'c"),
    ],
)
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(SetupInputUnusable):
        restricted.steps("nix-remote", key)


@pytest.mark.parametrize("account", ["", "root;id", "a b", "../x", "-x", "$(id)", "A", "a\nb"])
def test_what_is_no_accounts_name_is_refused(account: str) -> None:
    with pytest.raises(SetupInputUnusable):
        restricted.steps(account, KEY)


def test_the_script_is_one_that_a_shell_understands(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(restricted.steps("nix-remote", KEY))
    subprocess.run(["sh", "-n", str(tmp_path / "script")], check=True, timeout=10)
    assert not re.search("@[A-Z_]+@", restricted.dispatcher())
