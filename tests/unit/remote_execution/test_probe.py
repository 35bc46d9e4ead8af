"""The script runs here, in the shells of this machine."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Sequence

import pytest

from nix_remote.remote_execution import messages, probe
from nix_remote.remote_execution.messages import Digest, digest_of
from nix_remote.remote_execution.protobuf import decode


def blobs(action: probe.Probe) -> dict[Digest, bytes]:
    return {digest_of(blob): blob for blob in action.blobs}


def run(folder: Path, paths: Sequence[str], shell: str = probe.SHELL) -> str:
    """What an executor's shell prints, started as the action says."""
    built = probe.build(shell, paths, (), 5)
    by_digest = blobs(built)
    action = decode(messages.Action, built.action)
    command = decode(messages.Command, by_digest[action.command_digest])
    inputs = decode(messages.Directory, by_digest[action.input_root_digest])
    for file in inputs.files:
        (folder / file.name).write_bytes(by_digest[file.digest])
    done = subprocess.run(
        command.arguments,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
        env={},
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_what_is_there_absent_and_unreadable(tmp_path: Path, shell: str) -> None:
    names = ["file", "folder", "link", "absent", "closed"]
    paths = [str(tmp_path / name) for name in names]
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/nowhere")
    # Of all that can be there, what not even root can open.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "closed"))
    seen = probe.read(run(tmp_path, paths, shell), len(paths))
    assert seen is not None
    assert seen.absent == {str(tmp_path / "absent")}
    assert seen.unreadable == {str(tmp_path / "closed")}


def test_nothing_to_look_for(tmp_path: Path) -> None:
    seen = probe.read(run(tmp_path, []), 0)
    assert seen is not None
    assert seen.absent == seen.unreadable == frozenset()


def test_what_an_action_said_earlier_does_not_count() -> None:
    assert decode(messages.Action, probe.build("sh", [], (), 5).action).do_not_cache


def test_properties_are_where_old_and_new_services_look_for_them() -> None:
    built = probe.build("sh", [], [("pool", "a")], 5)
    action = decode(messages.Action, built.action)
    command = decode(messages.Command, blobs(built)[action.command_digest])
    assert (
        action.platform == command.platform == messages.Platform((messages.Property("pool", "a"),))
    )


def test_an_executor_is_given_a_bound() -> None:
    assert decode(messages.Action, probe.build("sh", [], (), 0.2).action).timeout.seconds == 1
    assert decode(messages.Action, probe.build("sh", [], (), 60).action).timeout.seconds == 60


GOOD = "nix-remote looks\nmount 1 2\nabsent /a\nclosed /b\nlooked at 3\n"


def test_output() -> None:
    assert probe.read(GOOD, 3) == probe.ProbeResult("1 2", frozenset({"/a"}), frozenset({"/b"}))


@pytest.mark.parametrize(
    "output",
    [
        "",
        "sh: not found\n",
        GOOD.replace("looked at 3\n", ""),
        GOOD.replace("3", "2"),
        "noise\n" + GOOD,
        GOOD + "Killed\n",
    ],
)
def test_a_look_that_did_not_get_to_its_end_says_nothing(output: str) -> None:
    assert probe.read(output, 3) is None
