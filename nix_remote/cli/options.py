"""Options that several commands have, and their values."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final, Optional, Sequence

from nix_remote.cli.render import Renderer
from nix_remote.copy.engine import Check
from nix_remote.errors import SigningKeyUnusable
from nix_remote.local.signing import SigningKey, parse_signing_key
from nix_remote.local.store import LocalStore
from nix_remote.settings import DEFAULT_SETTLE, Settings, TransportChoice
from nix_remote.store.paths import StorePath
from nix_remote.store.plan import DAMAGES, Reason
from nix_remote.text import decimal, decimal_fraction

_SIZES: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def add_paths(parser: argparse.ArgumentParser) -> None:
    """The paths that a command works on."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="store paths, paths below them, or links to them"
    )


def add_check(parser: argparse.ArgumentParser, default: Check = Check.VALIDITY) -> None:
    """`--check`."""
    parser.add_argument(
        "--check",
        choices=[check.value for check in Check],
        help="what to check of paths that are valid in the server's database: nothing more"
        " (validity); that they are on its disk (existence); or that their content equals the local"
        f" one, for which the server reads all of it (contents) (default: {default.value})",
    )


def add_repair(parser: argparse.ArgumentParser) -> None:
    """`--repair`."""
    parser.add_argument(
        "--repair",
        action="store_true",
        help="replace paths that are missing or different on the server's disk;"
        " implies --check contents, unless --check is given",
    )


def check(options: argparse.Namespace, default: Check = Check.VALIDITY) -> Check:
    """The check that `--check` and `--repair` select."""
    if options.check is not None:
        return Check(options.check)
    return Check.CONTENTS if getattr(options, "repair", False) else default


def replaced(options: argparse.Namespace) -> frozenset[Reason]:
    """The kinds of damage for which a path is sent again."""
    return DAMAGES if options.repair else frozenset()


def add_transport(parser: argparse.ArgumentParser) -> None:
    """`--transport`."""
    parser.add_argument(
        "--transport",
        choices=[choice.value for choice in TransportChoice],
        help="SSH implementation (default: NIX_REMOTE_TRANSPORT, else auto: paramiko, or OpenSSH"
        " if the SSH config needs features that paramiko does not have)",
    )


def add_settle(parser: argparse.ArgumentParser) -> None:
    """`--settle`."""
    parser.add_argument(
        "--settle",
        type=seconds,
        metavar="SECONDS",
        help="end no earlier than this after the last path became valid on the server: the acdirmax"
        " of executors' NFS mounts, during which they may not see new paths; 0 if no executor"
        f" mounts the store (default: NIX_REMOTE_SETTLE, else {DEFAULT_SETTLE:g})",
    )


def store_paths(texts: Sequence[str], local: LocalStore) -> list[StorePath]:
    """The store paths of the paths on the command line, each once. Raises `NotAStorePath`."""
    return list(dict.fromkeys(local.store_path(text) for text in texts))


def signing_key(file: Optional[Path]) -> Optional[SigningKey]:
    """The signing key in that file. Raises `SigningKeyUnusable`."""
    if file is None:
        return None
    try:
        return parse_signing_key(file.read_text())
    except OSError as error:
        raise SigningKeyUnusable(str(file), error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise SigningKeyUnusable(str(file), "not a text file") from None
    except ValueError as error:
        raise SigningKeyUnusable(str(file), str(error)) from None


def duration(text: str) -> float:
    """Seconds, from `90`, `15m`, `12h`, `30d` or `2w`; for argparse."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    value = decimal_fraction(number)
    if value is None:
        raise argparse.ArgumentTypeError(f"invalid duration {text!r} (examples: 12h, 30d)")
    return value * _UNITS[unit]


def size(text: str) -> int:
    """Bytes, from `500M`, `20G` or `1T`; for argparse."""
    digits, unit = (text[:-1], text[-1:]) if text[-1:] in _SIZES else (text, "")
    value = decimal(digits)
    if value is None:
        raise argparse.ArgumentTypeError(f"invalid size {text!r} (examples: 500M, 20G)")
    return value * _SIZES[unit]


def number(text: str) -> int:
    """A number from 0; for argparse."""
    value = decimal(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"invalid number {text!r} (example: 32)")
    return value


def seconds(text: str) -> float:
    """Seconds, from `60` or `0.5`; for argparse."""
    value = decimal_fraction(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"invalid number of seconds {text!r} (examples: 60, 0.5)")
    return value


def renderer(settings: Settings, options: argparse.Namespace) -> Renderer:
    """A renderer that shows events on standard error."""
    return Renderer(
        sys.stderr, host=settings.host, package=settings.package, verbose=options.verbose
    )
