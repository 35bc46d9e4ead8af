"""The server's store over the serve protocol (`nix-store --serve --write`).

For accounts without `nix-daemon --stdio`, and for servers without a worker
protocol that we speak. Durable roots and the barrier need commands, so the
account must be allowed to run `nix-store`. A refusal ends the session. A
session remembers the paths that it has added, or told about, as valid.
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
from nix_remote.server.stores.base import DurableRoot, Outgoing, Question
from nix_remote.server.stores.session import Asked, SessionStore
from nix_remote.server.upload import NotAccepted
from nix_remote.store.paths import PathInfo, StorePath

ServeSession = Session[ServeServer]


def ask(session: ServeSession, question: Question) -> Asked:
    """Asks for temporary roots, and behind that which paths are valid, in one breath."""
    # Whether these are valid it says as well; those of the question include them.
    lock = session.submit(serve.QueryValidPaths(question.lock, lock=True))
    valid = session.submit(serve.QueryValidPaths(question.paths, lock=False))
    return Asked(question, (lock,), valid)


class ServeStore(SessionStore[ServeServer]):
    """A `RemoteStore` over an open serve session.

    Another session is for questions after which this one's answers could be
    stale, and for those that may have to be abandoned.
    """

    def _submit(self, question: Question) -> Asked:
        return ask(self._session, question)

    def lock(self, paths: Sequence[StorePath]) -> None:
        self._locks.append(self._session.submit(serve.QueryValidPaths(tuple(paths), lock=True)))

    def _takes_unsigned(self) -> bool:
        if self._account.is_root:
            return True
        # This protocol does not say it. A refusal ends the session, and the copy as well.
        answer = self._session.submit(serve.AddToStoreNar(trust.PROBE))
        self._session.write(trust.PROBE_CONTENT)
        try:
            self._session.wait(answer, "the server to say if it takes unsigned paths")
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
            infos = session.wait(query, "what is registered there")
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
        assert not replace  # `push` has seen to that
        return serve.AddToStoreNar(info)

    @staticmethod
    def _write_nar(session: ServeSession, nar: Iterator[bytes]) -> None:
        for chunk in nar:
            session.write(chunk)

    def _nix_error(self, refused: NotAccepted) -> Exception:
        if isinstance(refused.cause, ServerEndedSession) and refused.cause.message:
            # A refusal is all that a server says before it ends the session.
            return path_error(refused.cause.message, self._account, refused.info)
        return refused.cause

    def secure(
        self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]
    ) -> frozenset[StorePath]:
        self._wait_for_locks()
        tops = frozenset(root.path for root in roots)
        while True:
            made = self._make_roots(roots)
            if made is None:
                continue
            nix_commands.wait_for_collector(self._remote_exec, self._account.alias)
            # A session that has added a path answers that it is valid, whatever happens to it.
            session = self._open_session()
            query = session.submit(serve.QueryValidPaths(tuple(paths), lock=False))
            valid = session.wait(query, "which paths are valid there")
            valid -= tops - {root.path for root in made}
            # With a gap, the next round must not ask the old one. Otherwise its temporary roots
            # stay.
            if len(valid) < len(set(paths)):
                self._session, session = session, self._session
            session.close()
            made = [root for root in made if root.path in valid]
            find = partial(nix_commands.find_roots, self._remote_exec, self._account.alias, made)
            if self._count(made, find):
                return valid

    def _make_roots(self, roots: Sequence[DurableRoot]) -> Optional[list[DurableRoot]]:
        """The roots of valid paths, where they were made; None if another place is to be tried."""
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
