"""What a command of the command line is made of; one file of this package per command."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

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
        parents=[_common_options()],
    )
    own.set_defaults(command=command, package=None)
    command.add_options(own)


def add_action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    """Adds an action of a command; the options that all have may come before it or after it."""
    # What is said before it stays: after it, an option that is not given says nothing.
    common = _common_options(argument_default=argparse.SUPPRESS)
    action: argparse.ArgumentParser = actions.add_parser(name, help=summary, parents=[common])
    return action


def _common_options(argument_default: Optional[str] = None) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=argument_default)
    common.add_argument(
        "--host", metavar="ALIAS", help="the Nix server (default: BAZEL_NIX_REMOTE)"
    )
    common.add_argument("--json", action="store_true", help="one JSON object on standard output")
    common.add_argument("-v", "--verbose", action="store_true", help="say what is done, and how")
    common.add_argument(
        "--error-file",
        type=Path,
        metavar="FILE",
        help="put one line on a failure there, for a rule of Bazel's that fails with it",
    )
    return common
