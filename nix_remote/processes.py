"""The only place that starts local processes.

Every process has a bound; what it writes to standard error is kept for the
message when it fails; none outlives its caller.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass
from typing import BinaryIO, Final, Iterator, Sequence

_KILL_AFTER: Final = 5.0
_STDERR_TAIL: Final = 4096


class ProcessFailed(Exception):
    """A local process could not be started, or did not do what it was started for."""


@dataclass(frozen=True)
class Dialogue:
    """A running process that is written to and read from."""

    stdin: BinaryIO
    stdout: BinaryIO


@contextlib.contextmanager
def dialogue(argv: Sequence[str]) -> Iterator[Dialogue]:
    """Runs a process for the length of a `with` block; afterwards it is gone.

    Raises `ProcessFailed`, with what the process wrote to standard error, if
    it cannot be started, or if the block was left by an `OSError` or
    `EOFError` because the process had ended.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        except OSError as error:
            raise ProcessFailed(f"{argv[0]}: {error.strerror}") from None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Dialogue(process.stdin, process.stdout)  # type: ignore[arg-type]  # buffered
        except (OSError, EOFError) as error:
            _end(process)
            errors.seek(0)
            said = errors.read()[-_STDERR_TAIL:].decode(errors="replace").strip()
            raise ProcessFailed(f"{' '.join(argv)}: {said or error}") from None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # of bytes that nobody will read any more
                stream.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_KILL_AFTER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
