"""The server's store over the serve protocol (`nix-store --serve --write`).

For accounts without `nix-daemon --stdio`, and for servers whose worker protocol we do not speak.
Durable roots and the barrier need commands, so the account must be allowed to run `nix-store`. An
error ends the session. The server caches the validity of paths for the length of a session.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Iterator, Mapping, Optional, Sequence

from nix_remote import events
from nix_remote.errors import (
    ReplacementImpossible,
    RootRefused,
    ServerEndedSession,
    ServerError,
)
from nix_remote.protocol import serve
from nix_remote.protocol.versions import ServeServer
from nix_remote.server import nix_commands, trust
from nix_remote.server.nix_errors import ReferenceVanished, lacks_signature, path_error
from nix_remote.server.session import Session
from nix_remote.server.stores.base import DurableRoot, Outgoing, Question, Secured
from nix_remote.server.stores.session import Asked, SessionStore
from nix_remote.server.upload import NotAccepted
from nix_remote.store.paths import PathInfo, StorePath

ServeSession = Session[ServeServer]


def ask(session: ServeSession, question: Question) -> Asked:
    """Requests temporary roots, then asks which paths are valid, without waiting in between."""
    # The first reply has validity as well; it is not needed, because `paths` includes `lock`.
    lock = session.submit(serve.QueryValidPaths(question.lock, lock=True))
    valid = session.submit(serve.QueryValidPaths(question.paths, lock=False))
    return Asked(question, (lock,), valid)


class ServeStore(SessionStore[ServeServer]):
    """A `RemoteStore` over an open serve session.

    A second session is used for requests after which this session's answers could be stale, and
    for requests that may be abandoned.
    """

    def _submit(self, question: Question) -> Asked:
        return ask(self._session, question)

    def lock(self, paths: Sequence[StorePath]) -> None:
        self._locks.append(self._session.submit(serve.QueryValidPaths(tuple(paths), lock=True)))

    def _takes_unsigned(self) -> bool:
        if self._account.is_root:
            return True
        # This protocol does not announce trust. An error ends the session, and the copy as well.
        answer = self._session.submit(serve.AddToStoreNar(trust.PROBE))
        self._session.write(trust.PROBE_CONTENT)
        try:
            self._session.wait(answer, "the server to accept or reject an unsigned path")
        except ServerEndedSession as ended:
            if lacks_signature(ended.message):
                return False
            if not ended.message:
                raise
            raise path_error(ended.message, self._account, trust.PROBE) from None
        return True

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        with closing(self._open_session()) as session:
            query = session.submit(serve.QueryPathInfos(tuple(paths)))
            infos = session.wait(query, "what the server has registered")
        return {info.path: info for info in infos}

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None:
        with closing(self._open_session()) as session:
            request = serve.QueryValidPaths(tuple(paths), lock=False, substitute=True)
            try:
                session.wait(
                    session.submit(request), "the server to ask its caches", at_most=at_most
                )
            except (TimeoutError, ServerError) as ended:
                self._listener(events.SubstitutionAbandoned(str(ended)))

    def push(self, paths: Sequence[Outgoing]) -> None:
        replacing = [outgoing.info.path for outgoing in paths if outgoing.replace]
        if replacing:
            alias, user = self._account.alias, self._account.user
            raise ReplacementImpossible(alias, user, replacing[0], len(replacing) - 1)
        super().push(paths)

    @staticmethod
    def _add(info: PathInfo, *, replace: bool) -> serve.AddToStoreNar:
        assert not replace  # `push` raises before
        return serve.AddToStoreNar(info)

    @staticmethod
    def _write_nar(session: ServeSession, nar: Iterator[bytes]) -> None:
        for chunk in nar:
            session.write(chunk)

    def _nix_error(self, refused: NotAccepted) -> Exception:
        if isinstance(refused.cause, ServerEndedSession) and refused.cause.message:
            # The error is all that a server prints before it ends the session.
            return path_error(refused.cause.message, self._account, refused.info)
        return refused.cause

    def secure(self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]) -> Secured:
        self._wait_for_locks()
        tops = frozenset(root.path for root in roots)
        while True:
            made = self._make_roots(roots)
            if made is None:
                continue
            nix_commands.wait_for_collector(self._remote_exec, self._account.alias)
            # A session that has added a path reports it as valid even if it was deleted since.
            session = self._open_session()
            query = session.submit(serve.QueryValidPaths(tuple(paths), lock=False))
            valid = session.wait(query, "which paths are valid on the server")
            valid -= tops - {root.path for root in made}
            # With a gap, the next round must ask the new session. Otherwise the old one continues,
            # because it holds the temporary roots.
            if len(valid) < len(set(paths)):
                self._session, session = session, self._session
            session.close()
            made = [root for root in made if root.path in valid]
            find = partial(nix_commands.find_roots, self._remote_exec, self._account.alias, made)
            if self._count(made, find):
                return Secured(valid)

    def _make_roots(self, roots: Sequence[DurableRoot]) -> Optional[list[DurableRoot]]:
        """The roots of valid paths as made; None if the next folder is to be tried."""
        made = []
        for root in self._placement.located(roots):
            try:
                location = nix_commands.add_root(self._remote_exec, self._account.alias, root)
            except ReferenceVanished:
                continue
            except RootRefused as refused:
                self._placement.failed(refused)
                return None
            if not self._placement.accepts(root, location):
                return None
            made.append(DurableRoot(root.path, location))
        return made

    def renew(self, roots: Sequence[DurableRoot]) -> None:
        for root in self._placement.located(roots):
            location = nix_commands.add_root(self._remote_exec, self._account.alias, root)
            self._listener(events.RootMade(root.path, location))
