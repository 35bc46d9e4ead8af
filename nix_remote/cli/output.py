"""Turns the end of a command into text and exit status, for people and for the calling program."""

from __future__ import annotations

import argparse
import sys
from typing import Protocol

from nix_remote.agent import thin_client
from nix_remote.cli.command import Command
from nix_remote.cli.result import Result
from nix_remote.errors import FileUnwritable
from nix_remote.text import PeerText, printable


class Output(Protocol):
    """Where a command's texts go: this process's streams and files, or a client's."""

    def write(self, text: str) -> object:
        """To standard error."""

    def output(self, text: str) -> None:
        """To standard output."""

    def file(self, name: str, text: str) -> None:
        """Into a file. Raises `FileUnwritable`."""


class OwnStreams:
    """The output of this process."""

    def write(self, text: str) -> object:
        return sys.stderr.write(text)

    def output(self, text: str) -> None:
        sys.stdout.write(text)

    def file(self, name: str, text: str) -> None:
        try:
            thin_client.write_file(name, text.encode(errors="surrogateescape"))
        except OSError as error:
            raise FileUnwritable(name, error.strerror or str(error)) from None


def conclude(command: Command, options: argparse.Namespace, result: Result, output: Output) -> int:
    """Says how it ended; returns the exit status (`nix_remote.errors` lists them)."""
    try:
        for name, text in result.files.items():
            output.file(name, text)
    except FileUnwritable as error:
        result = Result(result.command, error=error)
    if options.json:
        output.output(result.to_json() + "\n")
    # Bazel passes on the name that a workspace gives to the package.
    package = PeerText(options.package or "")
    prefix = f"nix-remote: {package}: " if package else "nix-remote: "
    if result.error is None:
        if not options.json:
            output.output(printable(command.output(result)))
        line = command.conclude(result)
        if line:
            output.write(printable(f"{prefix}{line}\n"))
        return result.exit_status
    # It is a rule of Bazel's that asks for an error file. Bazel repeats what the rule fails
    # with up to three times: that is the line in the file. The whole text is printed once, here.
    for_bazel = options.error_file is not None
    output.write(f"{prefix}{result.error.render(for_bazel=for_bazel)}\n")
    if options.error_file is not None:
        try:
            output.file(str(options.error_file), f"{result.error.summary}\n")
        except FileUnwritable as unwritable:
            output.write(f"{prefix}{unwritable.render()}\n")
    return result.error.exit_status
