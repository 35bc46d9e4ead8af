"""Sends paths through a session one after the other, without waiting for each to be registered."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Deque, Iterable, Iterator

from nix_remote import events
from nix_remote.errors import ServerEndedSession
from nix_remote.protocol.conversation import Request
from nix_remote.remote.session import RequestRefused, Session
from nix_remote.remote.store import Outgoing
from nix_remote.wire.types import PathInfo


class NotTaken(Exception):
    """The server refused a path, or ended the session; this is the oldest it had not confirmed."""

    def __init__(self, info: PathInfo, cause: RequestRefused | ServerEndedSession) -> None:
        super().__init__(str(cause))
        self.info = info
        self.cause = cause


def push(
    paths: Iterable[Outgoing],
    *,
    session: Session[Any],
    add: Callable[[PathInfo], Request[None]],
    write_nar: Callable[[Iterator[bytes]], None],
    listener: events.Listener,
) -> None:
    """Sends paths, given in dependency order; returns when all are registered.

    `add` makes the request that begins a path, `write_nar` writes what
    follows it. Confirmations are taken as they come, so no path is begun once
    one has been refused. Raises `NotTaken`.
    """
    unconfirmed: Deque[tuple[PathInfo, Future[None]]] = deque()

    def confirm_oldest() -> None:
        info, registered = unconfirmed[0]
        session.wait(registered, f"{info.path} to be registered (somebody else may be sending it)")
        unconfirmed.popleft()
        listener(events.PathDone(info.path))

    def counted(nar: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in nar:
            yield chunk
            listener(events.BytesSent(len(chunk)))

    try:
        for outgoing in paths:
            unconfirmed.append((outgoing.info, session.submit(add(outgoing.info))))
            write_nar(counted(outgoing.nar))
            while unconfirmed and unconfirmed[0][1].done():
                confirm_oldest()
        while unconfirmed:
            confirm_oldest()
    except (RequestRefused, ServerEndedSession) as cause:
        if not unconfirmed:
            raise
        raise NotTaken(unconfirmed[0][0], cause) from None
