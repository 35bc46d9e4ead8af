"""Processes without input and output, in a session of their own."""

from __future__ import annotations

import subprocess
from typing import Mapping, Optional, Sequence

from nix_remote.processes.child import ProcessFailed, end_group, start


def start_detached(argv: Sequence[str]) -> None:
    """Starts a process that outlives this one, in a session of its own and without terminal.

    Raises `ProcessFailed` if it cannot be started.
    """
    started = _start_apart(argv, folder="/")
    # It is not waited for as a child. If it ends early, it closes its socket.
    started.returncode = 0


def exit_status(
    argv: Sequence[str], *, timeout: float, environment: Optional[Mapping[str, str]] = None
) -> int:
    """Runs a process to its end, without input and output.

    `environment` replaces that of this process. Raises `ProcessFailed` if it
    cannot be started or outlives `timeout` (seconds).
    """
    running = _start_apart(argv, environment=environment)
    try:
        return running.wait(timeout)
    except subprocess.TimeoutExpired:
        raise ProcessFailed(f"{' '.join(argv)}: did not end within {timeout:g} s") from None
    finally:
        if running.returncode is None:
            end_group(running)


def _start_apart(
    argv: Sequence[str],
    *,
    folder: Optional[str] = None,
    environment: Optional[Mapping[str, str]] = None,
) -> subprocess.Popen[bytes]:
    """Starts a process without input and output, in a session of its own."""
    return start(
        argv,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
