"""How processes are started and ended, and what they leave for the error message."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import IO, Any, Final, Sequence

from nix_remote.text import PeerText

KILL_AFTER: Final = 5.0
"""Seconds between SIGTERM and SIGKILL."""
STDERR_TAIL: Final = 4096
"""Bytes."""


class ProcessFailed(Exception):
    """A local process could not be started, or did not do what it was started for."""


def start(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Starts a process, with options of `Popen`. Raises `ProcessFailed`."""
    try:
        return subprocess.Popen(argv, **options)
    except OSError as error:
        raise ProcessFailed(f"{argv[0]}: {error.strerror}") from None


def stderr_tail(errors: IO[bytes]) -> str:
    """The end of what was written to a file, which may be of any size."""
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - STDERR_TAIL))
    return PeerText(errors.read(STDERR_TAIL)).shown()


def end_group(running: subprocess.Popen[bytes]) -> None:
    """Ends a process that leads a group, and the group."""
    for step in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.pid, step)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(KILL_AFTER)
            return
