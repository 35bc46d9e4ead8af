"""What a command of the command line consists of; this package has one file per command."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Generic, Optional

from nix_remote.cli.result import Data, Result


@dataclass(frozen=True)
class Command(Generic[Data]):
    """One command. `cli.main` lists all of them."""

    name: str
    summary: str
    """One line, for the list of commands."""
    description: str
    """What it does and what its exit status means, for `--help`."""
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Result[Data]]
    """Runs it. Raises `NixRemoteError`, and `Answered`."""
    conclude: Callable[[Data], str]
    """The last line for people; may be empty."""
    output: Callable[[Data], str] = lambda _: ""
    """What goes to standard output without `--json`: files, if a command makes them."""


class Answered(Exception):
    """The agent has run the command and written its output."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def add_command(parsers: Any, command: Command[Any]) -> None:
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
    """Adds an action of a command; the common options may come before or after it."""
    # An option that is not given after the action must not overwrite one given before it.
    common = _common_options(argument_default=argparse.SUPPRESS)
    action: argparse.ArgumentParser = actions.add_parser(name, help=summary, parents=[common])
    return action


def _common_options(argument_default: Optional[str] = None) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=argument_default)
    common.add_argument(
        "--host", metavar="ALIAS", help="the Nix server (default: BAZEL_NIX_REMOTE)"
    )
    common.add_argument("--json", action="store_true", help="print one JSON object")
    common.add_argument("-v", "--verbose", action="store_true", help="report each step")
    common.add_argument(
        "--error-file",
        type=Path,
        metavar="FILE",
        help="on failure, write one line to FILE, for a Bazel repository rule",
    )
    return common
