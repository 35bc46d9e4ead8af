"""The entry point: finds the command, runs it, turns every outcome into text and exit status."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Any, Final, Optional, Sequence, Union

from nix_remote import __version__
from nix_remote.cli.command import Answered, Command, add_command
from nix_remote.cli.output import OwnStreams, conclude
from nix_remote.cli.result import Failure, Result
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
    # Deprecation warnings of libraries are for developers, who ask for them with `-W`.
    if argv is None and not sys.warnoptions:
        warnings.simplefilter("ignore")
    # Bazel waits for each start: only the requested command is loaded.
    requested = [name for name in COMMANDS if name in arguments[:1]]
    options = _parser(requested or COMMANDS).parse_args(arguments)
    options.arguments = arguments
    command: Command[Any] = options.command
    # SIGTERM ends the program in an orderly way too: the connection is closed, and the server
    # releases the temporary roots.
    signal.signal(signal.SIGTERM, _interrupt)
    outcome: Union[Result[Any], Failure]
    try:
        outcome = command.run(options)
    except Answered as answered:
        return answered.status
    except NixRemoteError as error:
        outcome = Failure(command.name, _shortage(error) or error)
    except KeyboardInterrupt:
        outcome = Failure(command.name, Interrupted())
    except Exception as error:
        lacking = _shortage(error)
        if lacking is None:
            sys.stderr.write(printable(traceback.format_exc()))
            print("nix-remote: this is a bug; please report the lines above", file=sys.stderr)
            return CRASHED
        outcome = Failure(command.name, lacking)
    return conclude(command, options, outcome, OwnStreams())


def _shortage(error: Exception) -> Optional[ResourcesExhausted]:
    """The error to show instead, if this process lacks descriptors, threads or memory."""
    # Rarely needed, and Bazel waits for each start.
    from nix_remote.agent import exhaustion

    # Without a free descriptor, a host name lookup fails as if the name did not exist.
    hidden = isinstance(error, ConnectionFailed)
    lacking = exhaustion.of_this_process(error) if hidden else exhaustion.behind(error)
    if lacking is None:
        return None
    ended = error.summary if isinstance(error, NixRemoteError) else repr(error)
    return ResourcesExhausted(lacking, ended)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nix-remote", description="Copies Nix store paths to where Bazel's remote actions run."
    )
    parser.add_argument("--version", action="version", version=f"nix-remote {__version__}")
    parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in names:
        add_command(parsers, importlib.import_module(f"nix_remote.cli.{name}").COMMAND)
    return parser


def _interrupt(_signal: int, _frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt
