"""A process that this one writes to and reads from through pipes."""

from __future__ import annotations

import contextlib
import select
import subprocess
import tempfile
from typing import BinaryIO, Final, Iterator, Sequence

from nix_remote.processes.child import KILL_AFTER, ProcessFailed, start, stderr_tail

_SILENCE: Final = 60.0
"""Seconds without output after which a process counts as stuck."""


class Process:
    """A running process; reads its output and writes its input."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def read(self, limit: int) -> bytes:
        """One to `limit` bytes of its output; nothing at the end of the output.

        Raises `TimeoutError` after a minute without output.
        """
        ready, _, _ = select.select([self._stdout], [], [], _SILENCE)
        if not ready:
            raise TimeoutError(f"no output for {_SILENCE:g} s")
        return self._stdout.read(limit)

    def write(self, data: bytes) -> None:
        """Writes all of `data`."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._stdin.write(rest) :]


@contextlib.contextmanager
def process(argv: Sequence[str]) -> Iterator[Process]:
    """Runs a process for the length of a `with` block, and ends it afterwards.

    Raises `ProcessFailed`, with what the process wrote to standard error, if
    it cannot be started, or if the block was left by an `OSError` or
    `EOFError` because the process had ended.
    """
    with tempfile.TemporaryFile() as errors:
        running = start(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0
        )
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            yield Process(running.stdin, running.stdout)  # type: ignore[arg-type]  # unbuffered
        except (OSError, EOFError) as error:
            _end(running)
            said = stderr_tail(errors)
            raise ProcessFailed(f"{' '.join(argv)}: {said or error}") from None
        finally:
            _end(running)


def _end(running: subprocess.Popen[bytes]) -> None:
    for stream in (running.stdin, running.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # unread bytes
                stream.close()
    if running.poll() is None:
        running.terminate()
        try:
            running.wait(KILL_AFTER)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
