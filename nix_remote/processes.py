"""The only place that starts local processes.

What a process writes to standard error is kept for the message when it
fails; none outlives its caller (but for the agent, which is meant to), and
none is waited for without a bound.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
from typing import IO, BinaryIO, Final, Iterator, Mapping, Optional, Sequence, Union

from nix_remote.text import PeerText

_SILENCE: Final = 60.0
_KILL_AFTER: Final = 5.0
_SHORTLY: Final = 1.0
_STDERR_TAIL: Final = 4096
_LOOK_AROUND: Final = 0.5

# Ends a process when ours is gone, however that came about: our end of the pipe that
# `cat` reads closes with us. And with the process ends all that it has started.
_BOUND_TO_US: Final = """
exec 3<&0
"$@" </dev/null >/dev/null 3<&- &
child=$!
{ cat <&3; kill "$child"; } >/dev/null 2>&1 &
exec 3<&-
wait "$child"
status=$?
trap '' TERM
kill 0
exit "$status"
"""


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
            said = _tail(errors)
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
        said = _tail(self._errors)
        return said or (f"exit status {self._running.returncode}" if self._running.poll() else "")


@contextlib.contextmanager
def attached(
    argv: Sequence[str], connection: socket.socket, environment: Optional[Mapping[str, str]] = None
) -> Iterator[Attached]:
    """Runs a process that reads from a socket and writes to it, for the length of a `with` block.

    `environment` stands for that of this process. Raises `ProcessFailed` if it
    cannot be started.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            # In a group of its own, so that what it starts ends with it.
            running = subprocess.Popen(
                argv,
                stdin=connection.fileno(),
                stdout=connection.fileno(),
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"{argv[0]}: {error.strerror}") from None
        try:
            yield Attached(running, errors)
        finally:
            _end_group(running)


def _tail(errors: IO[bytes]) -> str:
    """The end of what was written to a file, which may be of any size."""
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _STDERR_TAIL))
    return PeerText(errors.read(_STDERR_TAIL)).shown()


def start_detached(argv: Sequence[str]) -> None:
    """Starts a process that goes on without us, in a session of its own and without terminal.

    Raises `ProcessFailed` if it cannot be started.
    """
    started = _start_apart(argv, folder="/")
    # It is not our child to wait for; should it end early, its socket tells.
    started.returncode = 0


def exit_status(
    argv: Sequence[str], *, timeout: float, environment: Optional[Mapping[str, str]] = None
) -> int:
    """Runs a process to its end, without input and output.

    `environment` stands for that of this process. Raises `ProcessFailed` if it
    cannot be started or outlives `timeout` (seconds).
    """
    running = _start_apart(argv, environment=environment)
    try:
        return running.wait(timeout)
    except subprocess.TimeoutExpired:
        raise ProcessFailed(f"{' '.join(argv)}: did not end within {timeout:g} s") from None
    finally:
        if running.returncode is None:
            _end_group(running)


def _start_apart(
    argv: Sequence[str],
    *,
    folder: Optional[str] = None,
    environment: Optional[Mapping[str, str]] = None,
) -> subprocess.Popen[bytes]:
    """Starts a process without input and output, in a session of its own."""
    try:
        return subprocess.Popen(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ProcessFailed(f"{argv[0]}: {error.strerror}") from None


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


class PolledProcess:
    """A process for two threads: one writes, one reads, and neither ever waits for long.

    It has no terminal to ask at, and Ctrl-C does not reach it before it
    reaches us. Of what it writes to standard error the last `stderr_tail`
    bytes are kept. Call `end` when it is not needed any more.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stderr_tail: int = _STDERR_TAIL,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Starts it; `environment` stands for that of this process. Raises `ProcessFailed`."""
        try:
            self._running = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"{argv[0]}: {error.strerror}") from None
        stdin, stdout, stderr = self._running.stdin, self._running.stdout, self._running.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        os.set_blocking(stdin.fileno(), False)
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._ending = threading.Event()
        self._said = b""
        self._said_limit = stderr_tail
        self._said_count = 0
        self._listener = threading.Thread(
            target=self._listen, name="nix-remote-stderr", daemon=True
        )
        self._listener.start()

    def read(self, limit: int, seconds: float) -> bytes:
        """One to `limit` bytes of what it prints; nothing when it has ended that.

        Raises `TimeoutError` if there is nothing for that long.
        """
        with self._reading:
            if self._stdout.closed:
                return b""
            if not _ready(self._stdout, select.POLLIN, seconds):
                raise TimeoutError
            return os.read(self._stdout.fileno(), limit)

    def write(self, data: Union[bytes, bytearray, memoryview], seconds: float) -> int:
        """Hands over the beginning of `data`; returns how many bytes were taken.

        Raises `TimeoutError` if none are taken for that long, and
        `BrokenPipeError` if none ever will be.
        """
        with self._writing:
            if self._stdin.closed:
                raise BrokenPipeError
            if not _ready(self._stdin, select.POLLOUT, seconds):
                raise TimeoutError
            try:
                return os.write(self._stdin.fileno(), data)
            except BlockingIOError:
                raise TimeoutError from None

    def close_input(self) -> None:
        """Tells it that there is nothing more to read."""
        with self._writing, contextlib.suppress(OSError):
            self._stdin.close()

    @property
    def said(self) -> PeerText:
        """The end of what it has written to standard error so far."""
        if self._running.poll() is not None:
            self._listener.join(_LOOK_AROUND)  # the rest of it is on its way
        return PeerText(self._said)

    @property
    def said_count(self) -> int:
        """How many bytes it has written to standard error so far: a sign of life."""
        return self._said_count

    def wait(self, seconds: float) -> Optional[int]:
        """Its exit status; None if it still runs after that time."""
        try:
            return self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Ends it and all that it started. Safe to repeat, and from any thread."""
        self._ending.set()
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self._running.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._running.pid, how)
                self.wait(_KILL_AFTER)
        self.close_input()
        with self._reading:
            self._stdout.close()
        self._listener.join(2 * _LOOK_AROUND)

    def _listen(self) -> None:
        with self._stderr:
            # Somebody else may hold its standard error open when it is gone.
            while not self._ending.is_set():
                if not _ready(self._stderr, select.POLLIN, _LOOK_AROUND):
                    continue
                piece = os.read(self._stderr.fileno(), _STDERR_TAIL)
                if not piece:
                    break
                self._said_count += len(piece)
                self._said = (self._said + piece)[-self._said_limit :]


class BoundProcess(PolledProcess):
    """A process that ends with ours even if we are killed. It has no input."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stderr_tail: int = _STDERR_TAIL,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Starts it; `environment` stands for that of this process. Raises `ProcessFailed`."""
        bound = ["sh", "-c", _BOUND_TO_US, "sh", *argv]
        super().__init__(bound, stderr_tail=stderr_tail, environment=environment)


def _ready(stream: IO[bytes], event: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(stream, event)
    return bool(waiting.poll(seconds * 1000))
