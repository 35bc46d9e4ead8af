"""Options that several commands have, and what they stand for."""

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
from nix_remote.settings import Settings, TransportChoice
from nix_remote.store.paths import StorePath
from nix_remote.store.plan import DAMAGES, Reason
from nix_remote.text import decimal, decimal_fraction

_SIZES: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def add_paths(parser: argparse.ArgumentParser) -> None:
    """The paths a command is about."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="store paths, paths below them, or links to them"
    )


def add_check(parser: argparse.ArgumentParser, default: Check = Check.VALIDITY) -> None:
    """`--check`."""
    parser.add_argument(
        "--check",
        choices=[check.value for check in Check],
        help="what to check of paths that the server's database calls valid: nothing more"
        " (validity); that they are on its disk (existence); or that their content there is the"
        f" same as here, for which the server reads it all (contents) (default: {default.value})",
    )


def add_repair(parser: argparse.ArgumentParser) -> None:
    """`--repair`."""
    parser.add_argument(
        "--repair",
        action="store_true",
        help="send paths that are gone from the server's disk, or have other content there, again"
        " in their place; implies --check contents, unless --check is given",
    )


def check(options: argparse.Namespace, default: Check = Check.VALIDITY) -> Check:
    """What `--check` and `--repair` ask for."""
    if options.check is not None:
        return Check(options.check)
    return Check.CONTENTS if getattr(options, "repair", False) else default


def replaced(options: argparse.Namespace) -> frozenset[Reason]:
    """For which damages a path is sent again."""
    return DAMAGES if options.repair else frozenset()


def add_transport(parser: argparse.ArgumentParser) -> None:
    """`--transport`."""
    parser.add_argument(
        "--transport",
        choices=[choice.value for choice in TransportChoice],
        help="what makes the SSH connection (default: NIX_REMOTE_TRANSPORT, else auto: paramiko,"
        " and OpenSSH where the SSH config asks for what paramiko cannot do)",
    )


def store_paths(texts: Sequence[str], local: LocalStore) -> list[StorePath]:
    """The store paths that a person's paths mean, each once. Raises `NotAStorePath`."""
    return list(dict.fromkeys(local.store_path(text) for text in texts))


def signing_key(file: Optional[Path]) -> Optional[SigningKey]:
    """The key in that file. Raises `SigningKeyUnusable`."""
    if file is None:
        return None
    try:
        return parse_signing_key(file.read_text())
    except OSError as error:
        raise SigningKeyUnusable(str(file), error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise SigningKeyUnusable(str(file), "it is no text") from None
    except ValueError as error:
        raise SigningKeyUnusable(str(file), str(error)) from None


def duration(text: str) -> float:
    """Seconds, from `90`, `15m`, `12h`, `30d` or `2w`; for argparse."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    value = decimal_fraction(number)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; 12h and 30d are")
    return value * _UNITS[unit]


def size(text: str) -> int:
    """Bytes, from `500M`, `20G` or `1T`; for argparse."""
    digits, unit = (text[:-1], text[-1:]) if text[-1:] in _SIZES else (text, "")
    value = decimal(digits)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; 500M and 20G are")
    return value * _SIZES[unit]


def number(text: str) -> int:
    """A number from 0; for argparse."""
    value = decimal(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; 32 is")
    return value


def seconds(text: str) -> float:
    """Seconds, from `60` or `0.5`; for argparse."""
    value = decimal_fraction(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; 60 is")
    return value


def renderer(settings: Settings, options: argparse.Namespace) -> Renderer:
    """What shows events on standard error."""
    return Renderer(
        sys.stderr, host=settings.host, package=settings.package, verbose=options.verbose
    )
