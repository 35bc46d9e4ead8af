"""A process that two threads use: one writes, one reads, and neither waits longer than it says."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from typing import IO, Final, Mapping, Optional, Sequence, Union

from nix_remote.processes.child import KILL_AFTER, STDERR_TAIL, start
from nix_remote.text import PeerText

_POLL_INTERVAL: Final = 0.5

# Ends a process when this one has ended, for whatever reason: the kernel then closes this end of
# the pipe that `cat` reads. The children of the process end with it.
_BOUND_SCRIPT: Final = """
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


class PolledProcess:
    """A process for two threads: one writes, one reads, and every wait is bounded.

    It has no terminal to prompt at, and Ctrl-C reaches this process first. The last `stderr_tail`
    bytes of its standard error are kept. Call `end` when it is no longer needed.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stderr_tail: int = STDERR_TAIL,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Starts it; `environment` replaces that of this process. Raises `ProcessFailed`."""
        self._running = start(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
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
        self._stderr_reader = threading.Thread(
            target=self._read_stderr, name="nix-remote-stderr", daemon=True
        )
        self._stderr_reader.start()

    def read(self, limit: int, seconds: float) -> bytes:
        """One to `limit` bytes of its output; nothing at the end of the output.

        Raises `TimeoutError` after that time without output.
        """
        with self._reading:
            if self._stdout.closed:
                return b""
            if not _ready(self._stdout, select.POLLIN, seconds):
                raise TimeoutError
            return os.read(self._stdout.fileno(), limit)

    def write(self, data: Union[bytes, bytearray, memoryview], seconds: float) -> int:
        """Writes the beginning of `data`; returns how many bytes were written.

        Raises `TimeoutError` if the process reads none for that long, and
        `BrokenPipeError` if it has closed its input.
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
        """Closes its standard input."""
        with self._writing, contextlib.suppress(OSError):
            self._stdin.close()

    @property
    def said(self) -> PeerText:
        """The end of its standard error output so far."""
        if self._running.poll() is not None:
            self._stderr_reader.join(_POLL_INTERVAL)  # the rest of it is on its way
        return PeerText(self._said)

    @property
    def said_count(self) -> int:
        """How many bytes it has written to standard error so far: a liveness signal."""
        return self._said_count

    def wait(self, seconds: float) -> Optional[int]:
        """Its exit status; None if it still runs after that time."""
        try:
            return self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Ends it and its children. Safe to repeat, and from any thread."""
        self._ending.set()
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self._running.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._running.pid, how)
                self.wait(KILL_AFTER)
        self.close_input()
        with self._reading:
            self._stdout.close()
        self._stderr_reader.join(2 * _POLL_INTERVAL)

    def _read_stderr(self) -> None:
        with self._stderr:
            # Another process may hold its standard error open after its end.
            while not self._ending.is_set():
                if not _ready(self._stderr, select.POLLIN, _POLL_INTERVAL):
                    continue
                piece = os.read(self._stderr.fileno(), STDERR_TAIL)
                if not piece:
                    break
                self._said_count += len(piece)
                self._said = (self._said + piece)[-self._said_limit :]


class BoundProcess(PolledProcess):
    """A process that ends with this one, even after SIGKILL. It has no input."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stderr_tail: int = STDERR_TAIL,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Starts it; `environment` replaces that of this process. Raises `ProcessFailed`."""
        bound = ["sh", "-c", _BOUND_SCRIPT, "sh", *argv]
        super().__init__(bound, stderr_tail=stderr_tail, environment=environment)


def _ready(stream: IO[bytes], event: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(stream, event)
    return bool(waiting.poll(seconds * 1000))
