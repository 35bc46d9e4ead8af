"""Carries out the requests of clients: for an agent, and for a lead.

It copies as `nix-remote copy` does. The command line's package passes in the code that reads
command lines and renders outcomes (`Invocation`), so that texts and exit statuses are the same.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Callable, ContextManager, Protocol

from nix_remote import events, settings
from nix_remote.agent import environment_check, exhaustion
from nix_remote.agent.client_connection import Client, Declined
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.protocol import Run
from nix_remote.copy.engine import CopyResult
from nix_remote.copy.request import CopyRequest
from nix_remote.copy.settling import seconds_left
from nix_remote.errors import NixRemoteError


class Renderer(Protocol):
    """Shows the events of a copy."""

    def __call__(self, event: events.Event, /) -> None:
        """Shows one event."""

    def close(self) -> None:
        """Leaves the terminal with a clean line."""


class Invocation(Protocol):
    """A command line that asks for a copy."""

    def prepare(self) -> CopyRequest:
        """The copy request. Raises `NixRemoteError`."""

    def renderer(self, request: CopyRequest, client: Client) -> Renderer:
        """The renderer that shows the events of the copy to the client."""

    def succeed(self, request: CopyRequest, done: CopyResult, client: Client) -> int:
        """Sends the outcome to the client; returns the exit status."""

    def fail(self, error: NixRemoteError, client: Client) -> int:
        """Sends the failure to the client; returns the exit status."""


Parse = Callable[[Run], Invocation]
"""Reads the command line of a request. Raises `Declined` if only the full program can run it."""

FindQueue = Callable[[CopyRequest], ContextManager[CopyQueue]]
"""The copy queue for a request, in a `with` block; raises `Declined` if there is none."""


class RequestHandler:
    """Carries out `Run` messages."""

    def __init__(self, parse: Parse, find_queue: FindQueue) -> None:
        self._parse = parse
        self._find_queue = find_queue
        self._environment = settings.own_environment()

    def handle(self, run: Run, client: Client) -> int:
        """Carries a request out; returns its exit status. Raises `Declined` and `Gone`."""
        invocation = self._parse(run)
        try:
            request = invocation.prepare()
            environment_check.check(run.environment, self._environment)
            done = self._copy(request, invocation.renderer(request, client), client)
        except NixRemoteError as error:
            lacking = exhaustion.of_this_process(error)
            if lacking is not None:
                raise Declined(f"{error.code}, possibly caused by: {lacking}") from None
            return invocation.fail(error, client)
        return invocation.succeed(request, done, client)

    def _copy(self, request: CopyRequest, renderer: Renderer, client: Client) -> CopyResult:
        with self._find_queue(request) as queue, closing(renderer):
            pending = queue.submit(request.roots, request.closure, request.options, renderer)
            try:
                done = client.wait(pending.future, queue.is_running)
            finally:
                queue.withdraw(pending)
            self._settle(done, request.settings.settle, renderer, client)
        return done

    @staticmethod
    def _settle(done: CopyResult, settle: float, renderer: Renderer, client: Client) -> None:
        left = seconds_left(done.valid_since, settle, time.monotonic())
        if left:
            renderer(events.Settling(left))
            client.pause(left)
