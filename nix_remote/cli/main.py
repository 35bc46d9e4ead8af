"""The entry point: finds the command, runs it, turns every ending into text and exit status."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Final, Optional, Sequence

from nix_remote import __version__
from nix_remote.cli.command import Answered, Command, add_command
from nix_remote.cli.output import OwnStreams, conclude
from nix_remote.cli.result import Result
from nix_remote.errors import (
    CRASHED,
    ConnectionFailed,
    Interrupted,
    NixRemoteError,
    ResourcesExhausted,
)
from nix_remote.text import printable

COMMANDS: Final = ("copy", "plan", "ensure", "verify", "roots", "agent", "setup", "doctor")
"""In the order of `--help`. Each is a module of this package."""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs the command line; returns the exit status (`nix_remote.errors` lists them)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # What a library says of its own future is for developers: they ask for it with `-W`.
    if argv is None and not sys.warnoptions:
        warnings.simplefilter("ignore")
    # Bazel waits for each start: only the command that is meant is loaded.
    meant = [name for name in COMMANDS if name in arguments[:1]]
    options = _parser(meant or COMMANDS).parse_args(arguments)
    options.arguments = arguments
    command: Command = options.command
    # An orderly end for `kill` as well: the connection is closed, temporary roots go.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        result = command.run(options)
    except Answered as answered:
        return answered.status
    except NixRemoteError as error:
        result = Result(command.name, error=_shortage(error) or error)
    except KeyboardInterrupt:
        result = Result(command.name, error=Interrupted())
    except Exception as error:
        lacking = _shortage(error)
        if lacking is None:
            sys.stderr.write(printable(traceback.format_exc()))
            print("nix-remote: this is a defect; please report the lines above", file=sys.stderr)
            return CRASHED
        result = Result(command.name, error=lacking)
    return conclude(command, options, result, OwnStreams())


def _shortage(error: Exception) -> Optional[ResourcesExhausted]:
    """The error to show instead, if this process has too few descriptors, threads or memory."""
    # Rarely needed, and Bazel waits for each start.
    from nix_remote.agent import exhaustion

    # A name that cannot be looked up for want of a descriptor looks like one that does not exist.
    hidden = isinstance(error, ConnectionFailed)
    lacking = exhaustion.of_this_process(error) if hidden else exhaustion.behind(error)
    if lacking is None:
        return None
    ended = error.summary if isinstance(error, NixRemoteError) else repr(error)
    return ResourcesExhausted(lacking, ended)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nix-remote", description="Brings Nix store paths to where Bazel's remote actions run."
    )
    parser.add_argument("--version", action="version", version=f"nix-remote {__version__}")
    parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in names:
        add_command(parsers, importlib.import_module(f"nix_remote.cli.{name}").COMMAND)
    return parser


def _interrupt(_signal: int, _frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt
