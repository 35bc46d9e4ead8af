"""A server for tests of copy queues: it loses sessions and paths when a test says so."""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, ContextManager, Final, Iterator, Mapping, Optional, Sequence

from nix_remote import events
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.queue_state import PendingCopy
from nix_remote.copy.engine import CopyOptions, CopyResult
from nix_remote.copy.retry import RetryPolicy
from nix_remote.errors import (
    ConnectionBroken,
    NixRemoteError,
    PathContentMissing,
)
from nix_remote.local.store import LocalStore
from nix_remote.server.stores.base import (
    Damage,
    DurableRoot,
    Outgoing,
    Question,
    RemoteStore,
    Secured,
)
from nix_remote.settings import LocalStoreSettings
from nix_remote.store.paths import PathInfo, StorePath
from tests.support.paths import info

HELLO = info("hello")
GLIBC, BASH, GCC, BAD = (
    info("glibc"),
    info("bash", "glibc"),
    info("gcc", "glibc"),
    info("bad", "glibc"),
)
OPTIONS = CopyOptions(retry=RetryPolicy(retries=0))
BROKEN = ConnectionBroken("s", "copying", "cut")


class Local(LocalStore):
    def __init__(self) -> None:
        super().__init__(LocalStoreSettings(state_directory=Path("/nonexistent")))

    def check_present(self, infos: Sequence[PathInfo]) -> None:
        for one in infos:
            if one == BAD:
                raise PathContentMissing(one.path, "gone")

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        yield b"nar"


class Server:
    """What is on it, and what it was asked. Its sessions end when `reboot` says so."""

    def __init__(self) -> None:
        self.valid: set[StorePath] = set()
        self.roots: set[DurableRoot] = set()
        self.sent: list[StorePath] = []
        self.questions = 0
        self.secured = 0
        self.renewed: list[tuple[DurableRoot, ...]] = []
        self.logins = 0
        self.listener: events.Listener = events.ignore
        self.refuses: Optional[NixRemoteError] = None
        self.before_login: Callable[[], None] = lambda: None
        self.before_renewal: Callable[[], None] = lambda: None
        self.while_sending: Callable[[], None] = lambda: None
        self.sessions: list[Session] = []

    def open_with(
        self, listener: events.Listener
    ) -> Callable[[Question], ContextManager[RemoteStore]]:
        self.listener = listener
        return self._open

    @contextmanager
    def _open(self, _first: Question) -> Iterator[RemoteStore]:
        self.before_login()
        if self.refuses is not None:
            raise self.refuses
        self.logins += 1
        session = Session(self)
        self.sessions.append(session)
        try:
            yield session
        finally:
            session.ended = True

    def reboot(self) -> None:
        for session in self.sessions:
            session.ended = True

    def lose_everything(self) -> None:
        self.valid.clear()
        self.roots.clear()


class Session:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.ended = False
        self.dead = False
        """Ended, unnoticed."""

    def _check(self) -> None:
        if self.ended or self.dead:
            raise BROKEN

    def ask(self, question: Question) -> frozenset[StorePath]:
        self._check()
        self.server.questions += 1
        return frozenset(self.server.valid.intersection(question.paths))

    def lock(self, paths: Sequence[StorePath]) -> None: ...

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None: ...

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        return {}

    def absent(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        return frozenset()

    def damaged(self, infos: Sequence[PathInfo]) -> Mapping[StorePath, Damage]:
        return {}

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None: ...

    def push(self, paths: Sequence[Outgoing]) -> None:
        for outgoing in paths:
            self.server.while_sending()
            self._check()
            assert b"".join(outgoing.nar) == b"nar"
            self.server.sent.append(outgoing.info.path)
            self.server.valid.add(outgoing.info.path)
            self.server.listener(events.PathDone(outgoing.info.path))

    def renew(self, roots: Sequence[DurableRoot]) -> None:
        self.server.before_renewal()
        self._check()
        self.server.renewed.append(tuple(roots))

    def secure(self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]) -> Secured:
        self._check()
        self.server.secured += 1
        self.server.roots.update(roots)
        valid = frozenset(self.server.valid.intersection(paths))
        return Secured(valid, {root.path: LONG_AGO for root in roots})


LONG_AGO: Final = -1e9
"""When paths became valid that this fake says were not sent just now."""
NO_SETTLE: Final = 0.0


class Clock:
    """Two clocks that a test advances."""

    def __init__(self) -> None:
        self.now = [100.0, 100.0]

    def __call__(self) -> tuple[float, ...]:
        return tuple(self.now)


def submit(
    queue: CopyQueue, *closure: PathInfo, listener: events.Listener = events.ignore
) -> PendingCopy:
    top = closure[-1].path
    return queue.submit([DurableRoot(top, f"roots/{top}")], lambda: closure, OPTIONS, listener)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def outcome(pending: PendingCopy) -> CopyResult:
    return pending.future.result(10)


def failure(future: Future[CopyResult]) -> NixRemoteError:
    error = future.exception(10)
    assert isinstance(error, NixRemoteError)
    return error
