"""An interrupted copy leaves no incomplete path, and the next one completes it."""

from __future__ import annotations

import subprocess
import time
from typing import Callable

import pytest

from lab import nix
from lab.host import wait_until
from lab.lab import Lab
from tests.integration.copier import (
    Copier,
    assert_kept_whole,
    new_closure,
    over_openssh_if_thorough,
)

_MEGABYTES = 300


def in_the_middle(lab: Lab, closure: list[str]) -> bool:
    """Whether the big path of `new_closure` is arriving on the server right now."""
    leaf = next(path for path in closure if "-leaf-" in path)
    shown = lab.server.run(
        ["bash", "-c", f"stat --format=%s {leaf}* /nix/store/tmp-*/x 2>/dev/null"]
    )
    sizes = [int(size) for size in shown.stdout.split()]
    return any(size > 5_000_000 for size in sizes)


def kill_copier(lab: Lab) -> None:
    lab.workstation.sh("pkill -KILL -f 'nix_[r]emote copy'")


def interrupt_copier(lab: Lab) -> None:
    lab.workstation.sh("pkill -INT -f 'nix_[r]emote copy'")


def kill_ssh_sessions(lab: Lab) -> None:
    lab.server.sh("pkill -KILL -f 'sshd-[s]ession: copier'")


def kill_daemon(lab: Lab) -> None:
    # The process of this connection, not the daemon that listens.
    lab.server.sh("pkill -KILL -P $(cat /run/nix-daemon.pid)")


def start_and_cut(lab: Lab, copier: Copier, cut: Callable[[Lab], None]) -> tuple[list[str], str]:
    """Cuts a copy in the middle; returns its closure and its output."""
    closure = new_closure(lab.workstation, megabytes=_MEGABYTES)
    running = copier.start(closure[-1])
    wait_until(lambda: in_the_middle(lab, closure), "the copy to be in the middle", interval=0.01)
    cut(lab)
    output, _ = running.communicate(timeout=60)
    return closure, f"{output.decode()}exit status {running.returncode}"


@over_openssh_if_thorough
@pytest.mark.parametrize(
    ("cut", "ending"),
    [(kill_copier, "exit status -9"), (interrupt_copier, "exit status 130")],
)
def test_a_copier_that_ends_in_the_middle_leaves_no_invalid_path_and_the_next_completes(
    lab: Lab, copier: Copier, cut: Callable[[Lab], None], ending: str
) -> None:
    closure, text = start_and_cut(lab, copier, cut)
    assert text.endswith(ending)
    wait_until(
        lambda: lab.workstation.run(["pgrep", "-x", "ssh|cat"]).status == 1,
        "what the copier had started to end with it",
    )
    leaf = next(path for path in closure if "-leaf-" in path)
    assert not nix.is_valid(lab.server, leaf)
    for path in closure:
        if nix.is_valid(lab.server, path):
            nix.verify(lab.server, [path])
    wait_until(
        lambda: lab.server.run(["pgrep", "-f", "nix-[d]aemon --stdio"]).status == 1,
        "the server's side of the cut session to end",
    )
    copier.copy(closure[-1])
    assert_kept_whole(lab.server, lab.workstation, closure)


@over_openssh_if_thorough
@pytest.mark.parametrize("cut", [kill_ssh_sessions, kill_daemon])
def test_a_server_that_loses_the_session_in_the_middle_is_asked_again(
    lab: Lab, copier: Copier, cut: Callable[[Lab], None]
) -> None:
    closure, text = start_and_cut(lab, copier, cut)
    assert text.endswith("exit status 0"), text
    assert "trying again in 1 s" in text
    assert_kept_whole(lab.server, lab.workstation, closure)


@over_openssh_if_thorough
def test_an_interruption_ends_at_once_and_leaves_nothing_running(lab: Lab, copier: Copier) -> None:
    closure = new_closure(lab.workstation, megabytes=_MEGABYTES)
    running = copier.start(closure[-1])
    wait_until(lambda: in_the_middle(lab, closure), "the copy to be in the middle", interval=0.01)
    begun = time.monotonic()
    lab.workstation.sh("pkill -INT -f 'nix_[r]emote copy'")
    running.communicate(timeout=30)
    assert running.returncode == 130
    assert time.monotonic() - begun < 5
    assert lab.workstation.run(["pgrep", "-f", "nix_[r]emote copy"]).status == 1
    assert lab.workstation.run(["pgrep", "-x", "ssh|cat"]).status == 1


@over_openssh_if_thorough
def test_a_session_that_stalls_is_reported_and_given_up(lab: Lab, copier: Copier) -> None:
    closure = new_closure(lab.workstation, megabytes=_MEGABYTES)
    words = copier.command(closure[-1])
    running = lab.workstation.popen(
        words,
        env={"NIX_REMOTE_STALL_TIMEOUT": "12"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: in_the_middle(lab, closure), "the copy to be in the middle", interval=0.01)
    lab.server.sh("pkill -STOP -f 'nix-[d]aemon --stdio'")
    try:
        _, errors = running.communicate(timeout=40)
    finally:
        lab.server.sh("pkill -CONT -f 'nix-[d]aemon --stdio' || true")
    text = errors.decode()
    assert "waiting for the server to take more data (10 s)" in text
    assert "error[transfer-stalled]" in text
    assert running.returncode == 12
