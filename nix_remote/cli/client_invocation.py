"""Reads command lines of an agent's clients and renders outcomes, as `nix-remote copy` does."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import NoReturn, Optional, Union

from nix_remote.agent.client_connection import Client, Declined
from nix_remote.agent.protocol import Run
from nix_remote.agent.request_handler import Parse
from nix_remote.cli import copy_options
from nix_remote.cli.command import Command, add_command
from nix_remote.cli.output import conclude
from nix_remote.cli.render import Renderer
from nix_remote.cli.result import CopyData, Failure, Result
from nix_remote.copy.engine import CopyResult
from nix_remote.copy.request import CopyRequest
from nix_remote.errors import NixRemoteError


def parse_with(command: Command[CopyData]) -> Parse:
    """A parser for clients' command lines; `command` is that of `nix-remote copy`."""
    parser = _Parser()
    add_command(parser.add_subparsers(required=True), command)
    return lambda run: ClientInvocation(command, parser.parse_args(run.arguments), run)


class _Parser(argparse.ArgumentParser):
    """Declines instead of printing and exiting: the full program then shows help and errors."""

    def error(self, message: str) -> NoReturn:
        raise Declined(message)

    def exit(self, status: int = 0, message: Optional[str] = None) -> NoReturn:
        raise Declined(message or "")


@dataclass(frozen=True)
class ClientInvocation:
    """One invocation of a client."""

    command: Command[CopyData]
    options: argparse.Namespace
    run: Run

    def prepare(self) -> CopyRequest:
        return copy_options.prepare(self.options, self.run.environment, self.run.folder)

    def renderer(self, request: CopyRequest, client: Client) -> Renderer:
        chosen = request.settings
        return Renderer(
            client, host=chosen.host, package=chosen.package, verbose=self.options.verbose
        )

    def succeed(self, request: CopyRequest, done: CopyResult, client: Client) -> int:
        return self._conclude(copy_options.result(request, done), client)

    def fail(self, error: NixRemoteError, client: Client) -> int:
        return self._conclude(Failure(self.command.name, error), client)

    def _conclude(self, outcome: Union[Result[CopyData], Failure], client: Client) -> int:
        return conclude(self.command, self.options, outcome, client)
