"""`nix-remote setup`: prepares the Nix server, executors, and this machine."""

from __future__ import annotations

import argparse
from typing import Callable, Union

from nix_remote.cli import setup_files, setup_ssh
from nix_remote.cli.command import Command
from nix_remote.cli.result import Result
from nix_remote.cli.setup_files import FilesData
from nix_remote.cli.setup_ssh import SshData

_DESCRIPTION = """\
Prints files and commands that set up the Nix server, executors, and this machine. Changes nothing
without --out or --write."""

SetupData = Union[SshData, FilesData]


def _add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="WHAT", required=True)
    setup_files.add_options(kinds)
    setup_ssh.add_options(kinds)


def _run(options: argparse.Namespace) -> Result[SetupData]:
    set_up: Callable[[argparse.Namespace], Result[SetupData]] = options.set_up
    return set_up(options)


def _output(data: SetupData) -> str:
    return data["diff"] if data["what"] == "ssh" else data["printed"]


def _conclude(data: SetupData) -> str:
    return setup_ssh.conclude(data) if data["what"] == "ssh" else setup_files.conclude(data)


COMMAND = Command(
    name="setup",
    summary="print files and commands that set up the Nix server, executors, and this machine",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
    output=_output,
)
