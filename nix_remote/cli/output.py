"""Turns the outcome of a command into text and exit status, for people and for programs."""

from __future__ import annotations

import argparse
import sys
from typing import Protocol, Union

from nix_remote.agent import thin_client
from nix_remote.cli.command import Command
from nix_remote.cli.result import Data, Failure, Result
from nix_remote.errors import FileUnwritable
from nix_remote.text import PeerText, printable


class Output(Protocol):
    """Where a command's texts go: this process's streams and files, or a client's."""

    def write(self, text: str) -> object:
        """Writes to standard error."""

    def output(self, text: str) -> None:
        """Writes to standard output."""

    def file(self, name: str, text: str) -> None:
        """Writes a file. Raises `FileUnwritable`."""


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


def conclude(
    command: Command[Data],
    options: argparse.Namespace,
    outcome: Union[Result[Data], Failure],
    output: Output,
) -> int:
    """Writes the outcome; returns the exit status (`nix_remote.errors` lists them)."""
    if isinstance(outcome, Result):
        try:
            for name, text in outcome.files.items():
                output.file(name, text)
        except FileUnwritable as error:
            outcome = Failure(outcome.command, error)
    if options.json:
        output.output(outcome.to_json() + "\n")
    # The package name comes from the workspace, by way of Bazel.
    package = PeerText(options.package or "")
    prefix = f"nix-remote: {package}: " if package else "nix-remote: "
    if isinstance(outcome, Failure):
        return _fail(outcome, options, output, prefix)
    if not options.json:
        output.output(printable(command.output(outcome.data)))
    line = command.conclude(outcome.data)
    if line:
        output.write(printable(f"{prefix}{line}\n"))
    return outcome.exit_status


def _fail(failure: Failure, options: argparse.Namespace, output: Output, prefix: str) -> int:
    # Bazel rules ask for an error file. Bazel repeats the message of a failed rule up to three
    # times, so that is the one line in the file. The whole text is written once, here.
    for_bazel = options.error_file is not None
    output.write(f"{prefix}{failure.error.render(for_bazel=for_bazel)}\n")
    if options.error_file is not None:
        try:
            output.file(str(options.error_file), f"{failure.error.summary}\n")
        except FileUnwritable as unwritable:
            output.write(f"{prefix}{unwritable.render()}\n")
    return failure.error.exit_status
