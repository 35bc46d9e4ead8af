"""What a command of the command line is made of; one file of this package per command."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from nix_remote.cli.result import Result


@dataclass(frozen=True)
class Command:
    """One command. `cli.main` lists them all."""

    name: str
    summary: str
    """One line, for the list of commands."""
    description: str
    """What it does and what its end means, for `--help`."""
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Result]
    """Carries it out. Raises `NixRemoteError`, and `Answered`."""
    conclude: Callable[[Result], str]
    """The last line for people; empty when there is nothing to tell."""
    output: Callable[[Result], str] = lambda _: ""
    """What goes to standard output without `--json`: files, if a command makes them."""


class Answered(Exception):
    """The agent has done it, and everything has been said."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def add_command(parsers: Any, command: Command) -> None:
    """Adds a command, with the options that all have, to the parsers of argparse."""
    own = parsers.add_parser(
        command.name,
        help=command.summary,
        description=command.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own.set_defaults(command=command, package=None)
    own.add_argument("--host", metavar="ALIAS", help="the Nix server (default: BAZEL_NIX_REMOTE)")
    own.add_argument("--json", action="store_true", help="one JSON object on standard output")
    own.add_argument("-v", "--verbose", action="store_true", help="say what is done, and how")
    own.add_argument(
        "--error-file",
        type=Path,
        metavar="FILE",
        help="put the text of a failure there instead of on standard error",
    )
    command.add_options(own)
