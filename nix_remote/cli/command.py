"""What a command of the command line is made of; one file of this package per command."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Callable

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
    """Carries it out. Raises `NixRemoteError`."""
    conclude: Callable[[Result], str]
    """The last line for people; empty when there is nothing to tell."""
    output: Callable[[Result], str] = lambda _: ""
    """What goes to standard output without `--json`: files, if a command makes them."""
