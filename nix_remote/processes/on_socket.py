"""A process whose standard input and output are one end of a socket."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from typing import IO, Final, Iterator, Mapping, Optional, Sequence

from nix_remote.processes.child import end_group, start, stderr_tail

_EXIT_WAIT: Final = 1.0
"""Seconds for a process that has closed its end to exit."""


class Attached:
    """A running process whose input and output are one end of a socket."""

    def __init__(self, running: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._running = running
        self._errors = errors

    def failure(self) -> str:
        """Its standard error output, or its exit status; empty if it has not failed so far."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._running.wait(_EXIT_WAIT)
        said = stderr_tail(self._errors)
        return said or (f"exit status {self._running.returncode}" if self._running.poll() else "")


@contextlib.contextmanager
def attached(
    argv: Sequence[str], connection: socket.socket, environment: Optional[Mapping[str, str]] = None
) -> Iterator[Attached]:
    """Runs a process that reads from a socket and writes to it, for the length of a `with` block.

    `environment` replaces that of this process. Raises `ProcessFailed` if it
    cannot be started.
    """
    with tempfile.TemporaryFile() as errors:
        # In a group of its own, so that what it starts ends with it.
        running = start(
            argv,
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        try:
            yield Attached(running, errors)
        finally:
            end_group(running)
