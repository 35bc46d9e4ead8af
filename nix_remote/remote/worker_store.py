"""The server's store over the worker protocol (`nix-daemon --stdio`)."""

from __future__ import annotations

import re
from collections import deque
from concurrent.futures import Future
from typing import Deque, Final, Iterable, Sequence, TypeVar

from nix_remote import events
from nix_remote.errors import (
    PathContentChanged,
    PathRefused,
    RootRefused,
    ServerEndedSession,
    ServerTooOld,
    SignatureRequired,
)
from nix_remote.protocol import worker
from nix_remote.remote.session import RequestRefused, WorkerSession
from nix_remote.remote.store import DurableRoot, Outgoing, ReferenceVanished
from nix_remote.wire import framed
from nix_remote.wire.types import PathInfo, StorePath

T = TypeVar("T")

_UNSIGNED: Final = re.compile(r"lacks a (valid )?signature")
_NOT_VALID: Final = re.compile(r"path '([^']*)' is not valid")
_DIFFERENT: Final = re.compile(r"(hash|size) mismatch")
# From the process that passes an ordinary user's requests on to the daemon.
_DAEMON_GONE: Final = re.compile(r"[Dd]aemon disconnected unexpectedly")


class WorkerStore:
    """A `RemoteStore` over an open worker session."""

    def __init__(
        self, session: WorkerSession, *, alias: str, user: str, listener: events.Listener
    ) -> None:
        self._session = session
        self._alias = alias
        self._user = user
        self._listener = listener
        self._sent_bytes = 0

    def lock_and_query(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        locks = [self._session.submit(worker.AddTempRoot(path)) for path in paths]
        query = self._session.submit(worker.QueryValidPaths(tuple(paths)))
        valid = self._wait(query, "which paths are valid there")
        for lock in locks:
            self._wait(lock, "temporary roots")
        return valid

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        if self._session.greeting().trusts_us is not False:
            return
        for info in infos:
            if not info.signatures and not info.content_address:
                raise SignatureRequired(self._alias, self._user, info.path)

    def push(self, paths: Iterable[Outgoing]) -> None:
        unconfirmed: Deque[tuple[PathInfo, Future[None]]] = deque()
        for outgoing in paths:
            unconfirmed.append((outgoing.info, self._send(outgoing)))
            while unconfirmed and unconfirmed[0][1].done():
                self._confirm(*unconfirmed.popleft())
        while unconfirmed:
            self._confirm(*unconfirmed.popleft())

    def _send(self, outgoing: Outgoing) -> Future[None]:
        registered = self._session.submit(worker.AddToStoreNar(outgoing.info))
        try:
            for chunk in outgoing.nar:
                self._session.write(framed.frame_header(len(chunk)))
                self._session.write(chunk)
                self._sent_bytes += len(chunk)
                self._listener(events.BytesSent(self._sent_bytes))
        finally:
            # Ending the stream early, too, is understood: the server drops what it has.
            self._session.write(framed.END)
        return registered

    def _confirm(self, info: PathInfo, registered: Future[None]) -> None:
        try:
            self._session.wait(registered, f"{info.path} to be registered")
        except RequestRefused as refusal:
            raise self._refusal(info, refusal.message) from None
        self._listener(events.PathDone(info.path))

    def _refusal(self, info: PathInfo, message: str) -> Exception:
        if _UNSIGNED.search(message):
            return SignatureRequired(self._alias, self._user, info.path)
        if _NOT_VALID.search(message):
            return ReferenceVanished(message)
        if _DIFFERENT.search(message):
            return PathContentChanged(info.path, message)
        if _DAEMON_GONE.search(message):
            return ServerEndedSession(self._alias, "copying", message)
        return PathRefused(self._alias, info.path, message)

    def secure(
        self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]
    ) -> frozenset[StorePath]:
        server = self._session.greeting()
        if not server.can_make_roots:
            version = server.nix_version or f"protocol {server.protocol}"
            raise ServerTooOld(self._alias, version, "Nix 2.20")
        # All in one go: the server takes requests in order. What makes it safe:
        # the barrier, after which temporary roots count; looking after it; and
        # temporary roots taken again once the durable ones exist, for a collector
        # that looked at durable roots just before and at temporary ones just after.
        barrier = None
        if not server.collector_heeds_temporary_roots:
            barrier = self._session.submit(worker.CollectGarbage())
        query = self._session.submit(worker.QueryValidPaths(tuple(paths)))
        links = [self._session.submit(worker.AddPermRoot(r.path, r.location)) for r in roots]
        locks = [self._session.submit(worker.AddTempRoot(root.path)) for root in roots]
        tops = tuple(root.path for root in roots)
        last_look = self._session.submit(worker.QueryValidPaths(tops))

        if barrier is not None:
            self._wait(barrier, "a garbage collection on the server to end")
        valid = self._wait(query, "which paths are valid there")
        for root, link in zip(roots, links):
            try:
                made = self._session.wait(link, "a durable root")
            except RequestRefused as refusal:
                raise RootRefused(self._alias, root.location, refusal.message) from None
            self._listener(events.RootMade(root.path, made))
        for lock in locks:
            self._wait(lock, "temporary roots")
        still_there = self._wait(last_look, "which paths are valid there")
        return valid - (frozenset(tops) - still_there)

    def _wait(self, future: Future[T], waiting_for: str) -> T:
        """For requests that no correct server refuses."""
        try:
            return self._session.wait(future, waiting_for)
        except RequestRefused as refusal:
            raise PathRefused(self._alias, waiting_for, refusal.message) from None

    def close(self) -> None:
        self._session.close()
