"""A garbage collector that is held at one of its system calls, and released.

strace delays the system call: only the thread that makes it, so the collector goes on to
take temporary roots. When strace is killed, the collector goes on.
"""

from __future__ import annotations

import enum
import os
import signal
from pathlib import Path
from typing import Final

from lab.host import Host, wait_until

_LOCK: Final = "nix/var/nix/gc.lock"


class Point(enum.Enum):
    """Where the collector is held: the n-th time that it opens a file.

    (The same order in Nix 2.8, 2.26 and 2.34.)
    """

    LOCK = ("/nix/var/nix/gc.lock", 1)
    """It has not begun."""
    ROOTS = ("/nix/var/nix/gcroots", 1)
    """It has the lock, and knows no roots."""
    TEMPORARY_ROOTS = ("/nix/var/nix/temproots", 1)
    """It knows the durable roots."""
    STORE = ("/nix/store", 1)
    """It knows all roots, and has chosen nothing."""
    DELETION = ("/nix/store", 2)
    """It has chosen what it deletes together, and the first path is not valid any more."""
    LINKS = ("/nix/store/.links", 1)
    """It has deleted everything, and has the lock."""
    END = ("", 0)
    """Not at all."""


def root_of(host: Host) -> Path:
    """The host's file system, seen from outside."""
    return Path(f"/proc/{host.first_process}/root")


class Collector:
    """One collection, started in the background. Use each name once at a time."""

    def __init__(self, server: Host, program: str, point: Point, name: str) -> None:
        self._server = server
        self._point = point
        self._name = name
        root = root_of(server) / "run"
        self._trace, self._done = root / f"{name}.trace", root / f"{name}.done"
        for file in (self._trace, self._done):
            file.unlink(missing_ok=True)
        collect = f"NIX_REMOTE=local {program} --gc; touch /run/{name}.done"
        server.start_service(name, [*self._hold(), "bash", "-c", collect])

    def _hold(self) -> list[str]:
        path, time = self._point.value
        if not path:
            return []
        # Longer than any test: the end of strace releases it.
        delay = f"inject=openat:delay_enter=3600s:when={time}"
        trace = ["strace", "-f", "-o", f"/run/{self._name}.trace", "-P", path]
        return [*trace, "-e", "trace=openat", "-e", delay]

    @property
    def held(self) -> bool:
        path, time = self._point.value
        if not path or not self._trace.exists():
            return False
        return self._trace.read_text().count(f'"{path}"') >= time

    @property
    def ended(self) -> bool:
        return self._done.exists()

    def arrive(self) -> None:
        """Waits until it is held, or over because it does not get there."""
        wait_until(lambda: self.held or self.ended, f"{self._name} at {self._point}", interval=0.01)

    def release(self) -> None:
        """Releases it. Safe to repeat."""
        if self._point is Point.END:
            return
        pid = self._server.read(f"/run/{self._name}.pid").strip()
        self._server.run(["kill", f"-{signal.SIGKILL.value}", pid])

    def wait(self) -> None:
        """Returns when it is over."""
        wait_until(lambda: self.ended, f"{self._name} to end", interval=0.01)


def waiting_for_lock(server: Host) -> int:
    """How many processes wait for the collector's lock."""
    lock = root_of(server) / _LOCK
    if not lock.exists():
        return 0
    inode = f":{os.stat(lock).st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return sum(1 for line in lines if "->" in line and inode in line)
