"""Carries out the orders of clients: for an agent, and for an invocation that serves others.

It does for them what `nix-remote copy` does for itself, with the same code, so
that texts and exit statuses are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from contextlib import closing, contextmanager
from typing import Callable, ContextManager, Final, Iterator, Mapping, NoReturn, Optional

from nix_remote import settings
from nix_remote.agent import copy_request as orders
from nix_remote.agent import exhaustion
from nix_remote.agent import thin_client as wire
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.copy_request import CopyRequest
from nix_remote.agent.listener import OwnSocket
from nix_remote.agent.protocol import Run
from nix_remote.agent.server import Client, Declined, Duties, Server
from nix_remote.agent.threads import CannotStart, Threads
from nix_remote.cli.command import Command, add_command
from nix_remote.cli.output import conclude
from nix_remote.cli.render import Renderer
from nix_remote.cli.result import Result
from nix_remote.errors import NixRemoteError

FindLine = Callable[[CopyRequest], ContextManager[CopyQueue]]
"""The line for an order, for the length of a `with` block; raises `Declined` if there is none."""

# What the programs of the local store read, which get the environment of this process.
_OF_CHILDREN: Final = "HOME"
_OF_NIX: Final = "NIX_"
_OURS: Final = "NIX_REMOTE_"
_OF_SHELLS: Final = frozenset(
    {"NIX_PATH", "NIX_PROFILES", "NIX_SSL_CERT_FILE", "NIX_USER_PROFILE_DIR"}
)
"""What Nix sets in login shells, and no service has: about evaluating and downloading, which
we do not."""
_SEARCHED: Final = "PATH"
_LOCAL_PROGRAM: Final = "nix-store"


class _Unclear(Exception):
    """A command line that the full program has to complain about."""


class _Parser(argparse.ArgumentParser):
    """Neither prints nor exits: there is nobody to see it."""

    def error(self, message: str) -> NoReturn:
        raise _Unclear(message)

    def exit(self, status: int = 0, message: Optional[str] = None) -> NoReturn:
        raise _Unclear(message)


class RequestHandler:
    """Takes the requests of clients."""

    def __init__(self, command: Command, find_line: FindLine) -> None:
        """`command` is `nix-remote copy`."""
        self._command = command
        self._find_line = find_line
        self._parser = _Parser()
        add_command(self._parser.add_subparsers(required=True), command)
        self._environment = settings.own_environment()

    def handle(self, request: Run, client: Client) -> int:
        """Carries a request out; returns its exit status. Raises `Declined` and `Gone`."""
        try:
            options = self._parser.parse_args(request.arguments)
        except _Unclear as unclear:
            raise Declined(str(unclear)) from None
        try:
            result = self._copy(options, request, client)
        except NixRemoteError as error:
            lacking = exhaustion.of_this_process(error)
            if lacking is not None:
                raise Declined(f"{error.code}, perhaps because of this: {lacking}") from None
            result = Result(self._command.name, error=error)
        return conclude(self._command, options, result, client)

    def _copy(self, options: argparse.Namespace, request: Run, client: Client) -> Result:
        wanted = orders.prepare(options, request.environment, request.folder)
        self._check_environment(request.environment)
        chosen = wanted.settings
        renderer = Renderer(
            client, host=chosen.host, package=chosen.package, verbose=options.verbose
        )
        with self._find_line(wanted) as line, closing(renderer):
            ticket = line.submit(wanted.roots, wanted.closure, wanted.options, renderer)
            try:
                done = client.wait(ticket.future, line.at_work)
            finally:
                line.withdraw(ticket)
        return orders.result(wanted, done)

    def _check_environment(self, environment: Mapping[str, str]) -> None:
        """Declines what the programs of the local store would see differently than the client's."""
        needed = [_OF_CHILDREN]
        names = {*environment, *self._environment} - _OF_SHELLS
        needed += [
            name for name in names if name.startswith(_OF_NIX) and not name.startswith(_OURS)
        ]
        for name in needed:
            if environment.get(name) != self._environment.get(name):
                raise Declined(f"{name} is another one there")
        if _found(_LOCAL_PROGRAM, environment) != _found(_LOCAL_PROGRAM, self._environment):
            raise Declined(f"{_LOCAL_PROGRAM} is another one by the PATH there")


def _found(program: str, environment: Mapping[str, str]) -> Optional[str]:
    return shutil.which(program, path=environment.get(_SEARCHED))


@contextmanager
def others(
    command: Command, own: CopyRequest, line: CopyQueue, lead: Optional[wire.Lead]
) -> Iterator[None]:
    """Serves other invocations, as far as they want the same server, in a `with` block."""
    if lead is None:
        yield
        return

    @contextmanager
    def find_line(wanted: CopyRequest) -> Iterator[CopyQueue]:
        if wanted.key != own.key:
            raise Declined("this one is busy with another server")
        yield line

    duties = Duties(
        handle=RequestHandler(command, find_line).handle,
        tell=lambda: json.dumps(
            {
                "kind": "lead",
                "pid": os.getpid(),
                "version": wire.VERSION,
                "servers": [line.status()],
            }
        ),
        stop=lambda: None,
        other_version=lambda: None,
        log=lambda _: None,
    )
    # If a thread fails, nobody else comes; the copy goes on.
    threads = Threads(lambda _: None, lambda: server.resign())
    server = Server(OwnSocket(lead), duties, threads)
    line.somebody_arrives = server.somebody_arrives
    try:
        try:
            server.start()
        except CannotStart:
            server.resign()
        yield
    finally:
        server.resign()
        server.dismiss()
