"""From a host's name to its store: the SSH connection, and which protocol is spoken over it.

The worker protocol first: it tells whether the server trusts us before
anything is sent, refuses paths one by one, and makes durable roots itself.
The serve protocol where an account or a server has only that.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Callable, Final, Iterator, Optional, Sequence, TypeVar

from nix_remote import events
from nix_remote.errors import (
    AccountNotAllowed,
    NixNotFound,
    NixRemoteError,
    ServerEndedSession,
    ServerTooOld,
    UnexpectedOutput,
)
from nix_remote.local.signing import SigningKey
from nix_remote.protocol import implementations, nix_messages
from nix_remote.protocol.conversation import Conversation
from nix_remote.protocol.serve import ServeConversation
from nix_remote.protocol.worker import WorkerConversation
from nix_remote.server import disk_check
from nix_remote.server.gc_roots import home
from nix_remote.server.nix_errors import Account, opening_error
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.server.session import Session
from nix_remote.server.stores import serve as serve_store
from nix_remote.server.stores import worker as worker_store
from nix_remote.server.stores.base import Question, RemoteStore
from nix_remote.server.stores.serve import ServeStore
from nix_remote.server.stores.session import Asked, SessionStore
from nix_remote.server.stores.signing import SigningStore
from nix_remote.server.stores.worker import WorkerStore
from nix_remote.settings import Settings, StoreProtocol
from nix_remote.ssh import connect as ssh_connect
from nix_remote.ssh.config import host_config

Server = TypeVar("Server")
Answer = TypeVar("Answer")

WORKER_COMMAND: Final = ("nix-daemon", "--stdio")
SERVE_COMMAND: Final = ("nix-store", "--serve", "--write")

_NO_QUESTION: Final = Question(())

# What can mean that the account runs something else than we asked for.
_NOT_SPOKEN: Final = (ServerEndedSession, ServerTooOld, UnexpectedOutput)


@contextmanager
def open_remote_exec(settings: Settings, listener: events.Listener) -> Iterator[RemoteExec]:
    """A connection over which programs can be run, for the length of a `with` block."""
    with _connected(settings, listener) as (_, _, remote_exec):
        yield remote_exec


@contextmanager
def open_store(
    settings: Settings,
    listener: events.Listener,
    first: Question = _NO_QUESTION,
    *,
    key: Optional[SigningKey] = None,
    connector: Optional[ssh_connect.Connector] = None,
) -> Iterator[RemoteStore]:
    """A session with the server's store, for the length of a `with` block.

    `first` is what will be asked first: it is sent with the greeting already,
    which saves a round trip. What is sent is signed with `key`, if there is one. `connector`, of
    the same settings, makes the connection, for callers that connect repeatedly.
    """
    with _connected(settings, listener, connector) as (host, connection, remote_exec):
        account, asked = Account(settings.host, host.user), home.HomeQuestion(remote_exec)
        opener = _Opener(settings, account, remote_exec, asked, listener, first)
        try:
            store, spoken = _open(settings.protocol, opener)
            listener(events.Connected(settings.host, f"{connection}; {spoken}"))
            yield store if key is None else SigningStore(store, key)
        except ServerEndedSession as ended:
            cause = disk_check.examine(remote_exec, settings.host) or _turned_away(opener, ended)
            raise cause or ended from None


@contextmanager
def _connected(
    settings: Settings,
    listener: events.Listener,
    connector: Optional[ssh_connect.Connector] = None,
) -> Iterator[tuple[host_config.HostConfig, str, RemoteExec]]:
    """Where the connection leads, how it is made in words, and what can be run over it."""
    connector = connector or _connector(settings)
    transport, why = connector.connect()
    try:
        remote_exec = RemoteExec(
            transport,
            alias=settings.host,
            stall_timeout=settings.stall_timeout,
            listener=listener,
        )
        yield connector.config, f"{transport.description}{f' ({why})' if why else ''}", remote_exec
    finally:
        transport.close()


def _connector(settings: Settings) -> ssh_connect.Connector:
    local = host_config.this_user(settings.environment)
    host = host_config.resolve(settings.host, settings.ssh_config, local)
    return ssh_connect.Connector(host, settings.transport, settings.ssh_config)


@dataclass(frozen=True)
class _Opener:
    """Opens sessions and makes stores of them."""

    settings: Settings
    account: Account
    remote_exec: RemoteExec
    home: home.HomeQuestion
    listener: events.Listener
    first: Question

    def session(
        self,
        command: Sequence[str],
        conversation: Callable[[], Conversation[Server]],
        ask: Callable[[Session[Server]], Answer],
    ) -> tuple[Session[Server], Answer]:
        """An open session, wherever the program is, and what was asked in it right away.

        Raises `NixRemoteError`.
        """
        try:
            return self._session(command, conversation, ask)
        except NixNotFound:
            if self.remote_exec.searching:
                raise
            self.remote_exec.search_usual_places()
            return self._session(command, conversation, ask)

    def _session(
        self,
        command: Sequence[str],
        conversation: Callable[[], Conversation[Server]],
        ask: Callable[[Session[Server]], Answer],
    ) -> tuple[Session[Server], Answer]:
        self.home()  # If the server allows one session only, the question may be in our way.
        channel = self.remote_exec.open(command)
        if self.remote_exec.opens_in_order:
            self.home.ask()
        session = Session(
            channel,
            conversation(),
            alias=self.settings.host,
            command=" ".join(command),
            stall_timeout=self.settings.stall_timeout,
            listener=self.listener,
        )
        asked = ask(session)
        session.greeting()
        return session, asked

    def another_session(
        self, command: Sequence[str], conversation: Callable[[], Conversation[Server]]
    ) -> Session[Server]:
        """One more session, in which nothing has been asked. Raises `NixRemoteError`."""
        session, _ = self.session(command, conversation, lambda _: None)
        return session

    def over_worker(self) -> tuple[RemoteStore, str]:
        """The store over the worker protocol, and what is spoken, in words."""
        store, server = self._store(
            WorkerStore, WORKER_COMMAND, WorkerConversation, worker_store.ask
        )
        trust = {
            True: "trusts us",
            False: "does not trust us",
            None: "does not say if it trusts us",
        }
        version = server.nix_version.shown() if server.nix_version else "of unknown version"
        nix = implementations.described(version)
        spoken = f"worker protocol {server.effective}, {nix}, which {trust[server.trusts_us]}"
        return store, spoken

    def over_serve(self) -> tuple[RemoteStore, str]:
        """The store over the serve protocol, and what is spoken, in words."""
        store, server = self._store(ServeStore, SERVE_COMMAND, ServeConversation, serve_store.ask)
        return store, f"serve protocol {server.effective}"

    def _store(
        self,
        make: type[SessionStore[Server]],
        command: Sequence[str],
        conversation: Callable[[], Conversation[Server]],
        ask: Callable[[Session[Server], Question], Asked],
    ) -> tuple[RemoteStore, Server]:
        session, asked = self.session(command, conversation, lambda opened: ask(opened, self.first))
        # By now the session has its place, which may be the only one that the server allows.
        self.home.ask()
        store = make(
            session,
            asked=asked,
            account=self.account,
            listener=self.listener,
            remote_exec=self.remote_exec,
            open_session=partial(self.another_session, command, conversation),
            home=self.home,
        )
        return store, session.greeting()


def _open(protocol: StoreProtocol, opener: _Opener) -> tuple[RemoteStore, str]:
    """A store; tried twice where the daemon hangs up, as it does with accounts it does not allow.

    A daemon that was killed at this moment answers the second time.
    """
    try:
        return _choose(protocol, opener)
    except ServerEndedSession as ended:
        if ended.message and opening_error(ended.message, opener.account) is None:
            raise
    try:
        return _choose(protocol, opener)
    except ServerEndedSession as ended:
        # A daemon that cannot work hangs up, too.
        cause = disk_check.examine(opener.remote_exec, opener.account.alias)
        message = ended.message or _said_over_serve(opener)
        raise (
            cause or opening_error(message, opener.account) or _mute(opener, ended, message)
        ) from None


def _mute(opener: _Opener, ended: ServerEndedSession, message: str) -> NixRemoteError:
    """What it means that a program has ended twice before it greeted.

    An account that may run `nix-daemon --stdio` and nothing else gets no word from it, from 2.20
    on, if the daemon does not serve the account.
    """
    if message or not ended.exited:
        return ended
    return AccountNotAllowed(opener.account.alias, opener.account.user, "")


def _turned_away(opener: _Opener, ended: ServerEndedSession) -> Optional[NixRemoteError]:
    """Why the server does not serve the account, if that is what a session has ended with.

    `nix-store --serve` greets before it asks the daemon. A second session has to end like the
    first one: a daemon that was killed in the middle leaves the same words.
    """
    if opening_error(ended.message, opener.account) is None:
        return None
    return opening_error(_said_over_serve(opener), opener.account)


def _said_over_serve(opener: _Opener) -> str:
    """Why no session can be opened, in the words of a program that says it.

    `nix-daemon --stdio` ends without a word from 2.20 on when the daemon hangs up.
    """
    try:
        store, _ = opener.over_serve()
        store.ask(opener.first)
    except NixRemoteError as error:
        return _words(error)
    return ""


def _words(serve: NixRemoteError) -> str:
    """What the program for the serve protocol has said before it ended.

    None of it counts if that was the program for the worker protocol, the only one that an account
    with a forced command may run.
    """
    if not isinstance(serve, ServerEndedSession) or nix_messages.OTHER_PROTOCOL in serve.message:
        return ""
    return serve.message


def _choose(protocol: StoreProtocol, opener: _Opener) -> tuple[RemoteStore, str]:
    if protocol is StoreProtocol.WORKER:
        return opener.over_worker()
    if protocol is StoreProtocol.SERVE:
        return opener.over_serve()
    try:
        return opener.over_worker()
    except _NOT_SPOKEN as without_worker:
        try:
            store, spoken = opener.over_serve()
        except NixRemoteError as without_serve:
            raise _clearer(without_worker, without_serve) from None
        return store, f"{spoken}, because {without_worker.what}"


def _clearer(worker: NixRemoteError, serve: NixRemoteError) -> NixRemoteError:
    """Of two failures to open a session, the one that says more."""
    mute = isinstance(worker, ServerEndedSession) and not worker.message
    return serve if mute and _words(serve) else worker
