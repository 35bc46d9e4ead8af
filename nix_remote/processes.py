"""The only place that starts local processes.

What a process writes to standard error is kept for the message when it
fails; none outlives its caller, and none is waited for without a bound.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
from typing import IO, BinaryIO, Final, Iterator, Sequence

_SILENCE: Final = 60.0
_KILL_AFTER: Final = 5.0
_SHORTLY: Final = 1.0
_STDERR_TAIL: Final = 4096


class ProcessFailed(Exception):
    """A local process could not be started, or did not do what it was started for."""


class Process:
    """A running process that is written to and read from."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def read(self, limit: int) -> bytes:
        """One to `limit` bytes of what it prints; nothing when it has ended that.

        Raises `TimeoutError` when it prints nothing for long.
        """
        ready, _, _ = select.select([self._stdout], [], [], _SILENCE)
        if not ready:
            raise TimeoutError(f"it said nothing for {_SILENCE:g} s")
        return self._stdout.read(limit)

    def write(self, data: bytes) -> None:
        """Hands all of `data` over."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._stdin.write(rest) :]


@contextlib.contextmanager
def process(argv: Sequence[str]) -> Iterator[Process]:
    """Runs a process for the length of a `with` block; afterwards it is gone.

    Raises `ProcessFailed`, with what the process wrote to standard error, if
    it cannot be started, or if the block was left by an `OSError` or
    `EOFError` because the process had ended.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            running = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0
            )
        except OSError as error:
            raise ProcessFailed(f"{argv[0]}: {error.strerror}") from None
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            yield Process(running.stdin, running.stdout)  # type: ignore[arg-type]  # unbuffered
        except (OSError, EOFError) as error:
            _end(running)
            errors.seek(0)
            said = errors.read()[-_STDERR_TAIL:].decode(errors="replace").strip()
            raise ProcessFailed(f"{' '.join(argv)}: {said or error}") from None
        finally:
            _end(running)


class Attached:
    """A running process whose input and output are one end of a socket."""

    def __init__(self, running: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._running = running
        self._errors = errors

    def failure(self) -> str:
        """What it said on standard error, or its exit status; empty if all is well so far."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._running.wait(_SHORTLY)
        self._errors.seek(0)
        said = self._errors.read()[-_STDERR_TAIL:].decode(errors="replace").strip()
        return said or (f"exit status {self._running.returncode}" if self._running.poll() else "")


@contextlib.contextmanager
def attached(argv: Sequence[str], connection: socket.socket) -> Iterator[Attached]:
    """Runs a process that reads from a socket and writes to it, for the length of a `with` block.

    Raises `ProcessFailed` if it cannot be started.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            # In a group of its own, so that what it starts ends with it.
            running = subprocess.Popen(
                argv,
                stdin=connection.fileno(),
                stdout=connection.fileno(),
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"{argv[0]}: {error.strerror}") from None
        try:
            yield Attached(running, errors)
        finally:
            _end_group(running)


def exit_status(argv: Sequence[str], *, timeout: float) -> int:
    """Runs a process to its end, without input and output.

    Raises `ProcessFailed` if it cannot be started or outlives `timeout` (seconds).
    """
    try:
        running = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ProcessFailed(f"{argv[0]}: {error.strerror}") from None
    try:
        return running.wait(timeout)
    except subprocess.TimeoutExpired:
        raise ProcessFailed(f"{' '.join(argv)}: did not end within {timeout:g} s") from None
    finally:
        if running.returncode is None:
            _end_group(running)


def _end_group(running: subprocess.Popen[bytes]) -> None:
    """Ends a process that leads a group, and the group."""
    for step in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.pid, step)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(_KILL_AFTER)
            return


def _end(running: subprocess.Popen[bytes]) -> None:
    for stream in (running.stdin, running.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # of bytes that nobody will read any more
                stream.close()
    if running.poll() is None:
        running.terminate()
        try:
            running.wait(_KILL_AFTER)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
