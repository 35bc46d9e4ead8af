"""Runs processes for the lab. Every call has a timeout; a failure shows the whole output."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence, Union

Argument = Union[str, Path]


class LabError(Exception):
    """A failure of the lab itself, with the command and its output."""


@dataclass(frozen=True)
class Outcome:
    """The result of a finished command."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both streams, for messages and for searching."""
        return self.stdout + self.stderr

    def check(self) -> Outcome:
        """Returns itself, or raises `LabError` if the command failed."""
        if self.status != 0:
            raise LabError(
                f"exit status {self.status}: {' '.join(self.argv)}\n"
                f"{self.stdout[-4000:]}{self.stderr[-8000:]}"
            )
        return self


def run(
    argv: Sequence[Argument],
    *,
    timeout: float = 120,
    stdin: Union[str, bytes] = b"",
    env: Optional[Mapping[str, str]] = None,
    cwd: Optional[Path] = None,
) -> Outcome:
    """Runs a command, waits for it, and captures its output.

    A command that outlives `timeout` (seconds) is killed and reported as
    `LabError`. Bytes that are not UTF-8 are replaced.
    """
    words = tuple(str(word) for word in argv)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            words, input=data, capture_output=True, timeout=timeout, env=env, cwd=cwd, check=False
        )
    except subprocess.TimeoutExpired as expired:
        printed = (expired.stdout or b"") + (expired.stderr or b"")
        raise LabError(
            f"not finished after {timeout} s: {' '.join(words)}\n"
            f"{printed.decode(errors='replace')[-8000:]}"
        ) from None
    return Outcome(
        words,
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


def check(argv: Sequence[Argument], *, timeout: float = 120) -> str:
    """Runs a command that must succeed and returns its standard output."""
    return run(argv, timeout=timeout).check().stdout


def remove_tree(folder: Path) -> None:
    """Removes a folder with its content, as far as possible.

    `shutil.rmtree` gives up on trees that are deeper than Python's stack.
    """
    run(["rm", "-rf", "--", folder], timeout=300)
