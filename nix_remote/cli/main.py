"""The entry point: finds the command, runs it, turns every ending into text and exit status."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Optional, Sequence

from nix_remote import __version__
from nix_remote.cli import copy, doctor, plan, roots, setup, verify
from nix_remote.cli.command import Command
from nix_remote.cli.result import Result
from nix_remote.errors import CRASHED, Interrupted, NixRemoteError

_COMMANDS = (
    copy.COMMAND,
    plan.COMMAND,
    verify.COMMAND,
    roots.COMMAND,
    setup.COMMAND,
    doctor.COMMAND,
)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs the command line; returns the exit status (`nix_remote.errors` lists them)."""
    options = _parser().parse_args(argv)
    command: Command = options.command
    # An orderly end for `kill` as well: the connection is closed, temporary roots go.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        result = command.run(options)
    except NixRemoteError as error:
        result = Result(command.name, error=error)
    except KeyboardInterrupt:
        result = Result(command.name, error=Interrupted())
    except Exception:
        traceback.print_exc()
        print("nix-remote: this is a defect; please report the lines above", file=sys.stderr)
        return CRASHED
    if options.json:
        print(result.to_json())
    prefix = f"nix-remote: {options.package}: " if options.package else "nix-remote: "
    if result.error is None:
        if not options.json:
            sys.stdout.write(command.output(result))
        line = command.conclude(result)
        if line:
            print(prefix + line, file=sys.stderr)
        return result.exit_status
    text = f"{prefix}{result.error.render()}\n"
    if options.error_file is not None:
        options.error_file.write_text(text)
    else:
        sys.stderr.write(text)
    return result.error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nix-remote", description="Brings Nix store paths to where Bazel's remote actions run."
    )
    parser.add_argument("--version", action="version", version=f"nix-remote {__version__}")
    parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        own = parsers.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.set_defaults(command=command, package=None)
        own.add_argument(
            "--host", metavar="ALIAS", help="the Nix server (default: BAZEL_NIX_REMOTE)"
        )
        own.add_argument("--json", action="store_true", help="one JSON object on standard output")
        own.add_argument("-v", "--verbose", action="store_true", help="say what is done, and how")
        own.add_argument(
            "--error-file",
            type=Path,
            metavar="FILE",
            help="put the text of a failure there instead of on standard error",
        )
        command.add_options(own)
    return parser


def _interrupt(_signal: int, _frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt
