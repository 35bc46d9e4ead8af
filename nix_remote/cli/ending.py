"""Turns the end of a command into text and exit status, for whoever waits for it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Optional, Protocol

from nix_remote.cli.command import Command
from nix_remote.cli.result import Result
from nix_remote.errors import OutputFileUnwritable


class Output(Protocol):
    """Where a command's texts go: this process's streams and files, or a client's."""

    def write(self, text: str) -> object:
        """To standard error."""

    def output(self, text: str) -> None:
        """To standard output."""

    def file(self, name: str, text: str) -> None:
        """Into a file."""


class OwnStreams:
    """The output of this process."""

    def write(self, text: str) -> object:
        return sys.stderr.write(text)

    def output(self, text: str) -> None:
        sys.stdout.write(text)

    def file(self, name: str, text: str) -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def conclude(command: Command, options: argparse.Namespace, result: Result, output: Output) -> int:
    """Says how it ended; returns the exit status (`nix_remote.errors` lists them)."""
    for name, text in result.files.items():
        try:
            output.file(name, text)
        except OSError as error:
            unwritable = OutputFileUnwritable(name, error.strerror or str(error))
            result = Result(result.command, error=unwritable)
            break
    if options.json:
        output.output(result.to_json() + "\n")
    prefix = f"nix-remote: {options.package}: " if options.package else "nix-remote: "
    if result.error is None:
        if not options.json:
            output.output(command.output(result))
        line = command.conclude(result)
        if line:
            output.write(f"{prefix}{line}\n")
        return result.exit_status
    _tell(f"{prefix}{result.error.render()}\n", options.error_file, output)
    return result.error.exit_status


def _tell(text: str, file: Optional[Path], output: Output) -> None:
    """An error, into the file for it, if there is one that can be written."""
    if file is not None:
        try:
            output.file(str(file), text)
            return
        except OSError as error:
            output.write(f"nix-remote: {file} cannot be written: {error.strerror}\n")
    output.write(text)
