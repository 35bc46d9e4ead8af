"""Sends paths through one or several sessions, without waiting for each to be registered.

A session moves at most one SSH window of data per round trip, 2 MB with OpenSSH. On a connection
with a long round trip time, several sessions move several times as much.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import Any, Callable, Deque, Final, Generic, Iterator, Optional, Sequence

from nix_remote import events
from nix_remote.errors import NixRemoteError, ServerEndedSession
from nix_remote.protocol.conversation import Request, Server
from nix_remote.server.session import RequestRefused, Session
from nix_remote.server.stores.base import Outgoing
from nix_remote.server.upload_schedule import Lane, Position, UploadSchedule
from nix_remote.ssh.transport import POLL_SECONDS
from nix_remote.store.paths import PathInfo

SESSIONS: Final = 2
"""At most. The data of two sessions fills the TCP buffers of Linux; more sessions were not faster
at any round trip time (docs/performance.md)."""
WORTH_A_SESSION: Final = 8 * 1024 * 1024
"""Bytes. Each session costs a process on the server, and two round trips before it takes data."""


class NotAccepted(Exception):
    """The server rejected a path, or ended the session. `info` is the oldest unconfirmed path."""

    def __init__(self, info: PathInfo, cause: RequestRefused | ServerEndedSession) -> None:
        super().__init__(str(cause))
        self.info = info
        self.cause = cause


class Upload(Generic[Server]):
    """Sends `paths`, given in dependency order, through `session` and additional sessions.

    `add` makes the request that begins a path, `write_nar` writes the NAR that follows it. If an
    additional session cannot be opened, the upload continues without it.
    """

    def __init__(
        self,
        paths: Sequence[Outgoing],
        *,
        session: Session[Server],
        open_session: Callable[[], Session[Server]],
        add: Callable[[PathInfo], Request[None]],
        write_nar: Callable[[Session[Server], Iterator[bytes]], None],
        listener: events.Listener,
    ) -> None:
        self._paths = paths
        self._session = session
        self._open_session = open_session
        self._add = add
        self._write_nar = write_nar
        self._listener = listener
        self._changed = threading.Condition()
        # `_changed` guards all attributes below.
        self._order = UploadSchedule([outgoing.info for outgoing in paths])
        self._at_work = 1
        """Sessions that may be sending."""
        self._over = False
        self._failure: Optional[Exception] = None
        self._opened: list[Session[Server]] = []

    @property
    def additional(self) -> Sequence[Session[Server]]:
        """The additional sessions. Their temporary roots keep the paths sent through them."""
        with self._changed:
            return tuple(self._opened)

    def run(self) -> None:
        """Returns when all paths are registered.

        If the server rejects a path, waits for the paths that were begun, then raises
        `NotAccepted`. Raises the error that ended a session at once.
        """
        size = sum(outgoing.info.nar_size for outgoing in self._paths)
        additional = min(SESSIONS, 1 + size // WORTH_A_SESSION, len(self._paths)) - 1
        self._start(partial(self._send_through, 0, self._session))
        for number in range(additional):
            self._start(partial(self._add_session, number + 1))
        with self._changed:
            while self._at_work and not _ends_session(self._failure):
                self._changed.wait(POLL_SECONDS)
            self._over = True
            if self._failure is not None:
                raise self._failure

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="nix-remote-writer", daemon=True).start()

    def _add_session(self, lane: Lane) -> None:
        try:
            session = self._open_session()
        except NixRemoteError as error:
            self._listener(events.SessionNotAdded(f"{error.what}: {error.why}"))
            return
        with self._changed:
            needed = not self._over and not self._order.all_taken
            if needed:
                self._opened.append(session)
                self._at_work += 1
        if needed:
            self._send_through(lane, session)
        else:
            session.close()

    def _send_through(self, lane: Lane, session: Session[Server]) -> None:
        unconfirmed: Deque[tuple[PathInfo, Future[None]]] = deque()
        failure: Optional[Exception] = None
        try:
            self._send_all(lane, session, unconfirmed)
        except (RequestRefused, ServerEndedSession) as cause:
            failure = NotAccepted(unconfirmed[0][0], cause) if unconfirmed else cause
        except Exception as error:  # it is raised in the thread that waits
            failure = error
        with self._changed:
            self._failure = self._failure or failure
            self._at_work -= 1
            self._changed.notify_all()

    def _send_all(
        self,
        lane: Lane,
        session: Session[Server],
        unconfirmed: Deque[tuple[PathInfo, Future[None]]],
    ) -> None:
        def confirm_oldest() -> None:
            info, registered = unconfirmed[0]
            session.wait(
                registered, f"{info.path} to be registered (another client may be sending it)"
            )
            unconfirmed.popleft()
            self._listener(events.PathDone(info.path))

        def confirm_some() -> None:
            for _ in range(max(len(unconfirmed) // 4, 1)):
                confirm_oldest()

        while True:
            position = self._next(lane, unconfirmed)
            if position is not None:
                outgoing = self._paths[position]
                registered: Future[None] = session.submit(
                    self._add(outgoing.info), make_room=confirm_some if unconfirmed else None
                )
                unconfirmed.append((outgoing.info, registered))
                registered.add_done_callback(partial(self._answered, position))
                self._write_nar(session, self._counted(outgoing))
                while unconfirmed and unconfirmed[0][1].done():
                    confirm_oldest()
            elif unconfirmed:
                confirm_oldest()
            else:
                return

    def _next(self, lane: Lane, unconfirmed: Sequence[Any]) -> Optional[Position]:
        """The next path to send; None if there is none, or if it depends on unconfirmed paths."""
        with self._changed:
            while self._failure is None and not self._order.all_taken:
                position = self._order.take(lane)
                if position is not None or unconfirmed:
                    return position
                self._changed.wait(POLL_SECONDS)
            self._changed.notify_all()
            return None

    def _answered(self, position: Position, answer: Future[None]) -> None:
        if answer.exception() is None:
            with self._changed:
                self._order.registered(position)
                self._changed.notify_all()

    def _counted(self, outgoing: Outgoing) -> Iterator[bytes]:
        for chunk in outgoing.nar:
            yield chunk
            self._listener(events.BytesSent(outgoing.info.path, len(chunk)))


def _ends_session(failure: Optional[Exception]) -> bool:
    """Whether the session cannot continue after this failure."""
    if isinstance(failure, NotAccepted):
        failure = failure.cause
    return failure is not None and not isinstance(failure, RequestRefused)
