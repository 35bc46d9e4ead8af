"""`nix-remote setup`: prepares the other machines, and this one, to be used."""

from __future__ import annotations

import argparse
from typing import Callable

from nix_remote.cli import setup_files, setup_ssh
from nix_remote.cli.command import Command
from nix_remote.cli.result import Result

_DESCRIPTION = """\
Prints what has to be set up. Changes nothing, unless it is told to (--out, --write)."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="WHAT", required=True)
    setup_files.add_options(kinds)
    setup_ssh.add_options(kinds)


def _run(options: argparse.Namespace) -> Result:
    set_up: Callable[[argparse.Namespace], Result] = options.set_up
    return set_up(options)


def _output(result: Result) -> str:
    return str(result.data["diff" if result.data["what"] == "ssh" else "printed"])


def _conclude(result: Result) -> str:
    module = setup_ssh if result.data["what"] == "ssh" else setup_files
    text: str = module.conclude(result.data)
    return text


COMMAND = Command(
    name="setup",
    summary="print what has to be set up, on the Nix server, on executors, and here",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
    output=_output,
)
