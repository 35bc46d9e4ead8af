"""Opens sessions over one connection, and makes stores of them.

Belongs here: starting the program, sending the greeting and the first question. Not: which
protocol to speak, or why a session ended before it began (`choose_protocol.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Callable, Final, Sequence, TypeVar

from nix_remote import events
from nix_remote.errors import NixNotFound
from nix_remote.protocol import implementations
from nix_remote.protocol.conversation import Conversation
from nix_remote.protocol.serve import ServeConversation
from nix_remote.protocol.worker_conversation import WorkerConversation
from nix_remote.server.gc_roots import home
from nix_remote.server.nix_errors import Account
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.server.session import Session
from nix_remote.server.stores import serve as serve_store
from nix_remote.server.stores import worker as worker_store
from nix_remote.server.stores.base import Question, RemoteStore
from nix_remote.server.stores.serve import ServeStore
from nix_remote.server.stores.session import Asked, SessionStore
from nix_remote.server.stores.worker import WorkerStore
from nix_remote.settings import Settings

Server = TypeVar("Server")
Answer = TypeVar("Answer")

WORKER_COMMAND: Final = ("nix-daemon", "--stdio")
SERVE_COMMAND: Final = ("nix-store", "--serve", "--write")

_TRUST: Final = {
    True: "trusts us",
    False: "does not trust us",
    None: "does not say if it trusts us",
}


@dataclass(frozen=True)
class Opener:
    """Opens sessions over one connection."""

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
        """An open session, and what `ask` returned; it is called before the greeting arrives.

        Searches the usual folders for the program if it is not on the PATH. Raises
        `NixRemoteError`.
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
        # Wait for that question's session to end: the server may allow one session at a time.
        self.home()
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
        """The store over the worker protocol, and a description of the session."""
        store, server = self._store(
            WorkerStore, WORKER_COMMAND, WorkerConversation, worker_store.ask
        )
        version = server.nix_version.shown() if server.nix_version else "of unknown version"
        nix = implementations.described(version)
        return store, f"worker protocol {server.effective}, {nix}, which {_TRUST[server.trusts_us]}"

    def over_serve(self) -> tuple[RemoteStore, str]:
        """The store over the serve protocol, and a description of the session."""
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
        # The main session is open; it may be the only one that the server allows.
        self.home.ask()
        store = make(
            session,
            asked=asked,
            account=self.account,
            listener=self.listener,
            remote_exec=self.remote_exec,
            open_session=partial(self.another_session, command, conversation),
            home=self.home,
            clock=self.home.clock,
        )
        return store, session.greeting()
