"""Identifies the implementation of Nix (CppNix, Lix, Determinate Nix) and its version. Pure.

Belongs here: parsing greetings and version output. Not: features of versions (`versions.py`),
vulnerabilities (`advisories.py`).
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final, Optional

Version = tuple[int, ...]

_NUMBERS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,3}(?!\d)", re.A)
_SENTENCE: Final = re.compile(r"\S+ \((?P<name>[^()]*)\) (?P<version>\S+)")
_DETERMINATE: Final = re.compile(r"Determinate Nix (?P<version>\S+)")
_FIRST_LIX: Final = (2, 90)
"""Lix's first release; CppNix has no such version."""


class Kind(enum.Enum):
    """The implementations, by their names."""

    NIX = "Nix"
    LIX = "Lix"
    DETERMINATE = "Determinate Nix"


@dataclass(frozen=True)
class Implementation:
    """An implementation and its version."""

    kind: Kind
    version: Version
    upstream: Optional[Version] = None
    """The version of CppNix that Determinate Nix is based on."""

    def __str__(self) -> str:
        return f"{self.kind.value} {'.'.join(map(str, self.version))}"


def from_greeting(version: str) -> Optional[Implementation]:
    """From the version in a daemon's greeting (worker protocol, since 1.33): `2.34.8`, `2.95.3`.

    Lix sends only its version. Determinate Nix sends that of CppNix, so it is reported as CppNix.
    None if the text is not a version.
    """
    number = _version(version)
    if number is None:
        return None
    return Implementation(Kind.LIX if number >= _FIRST_LIX and number < (3,) else Kind.NIX, number)


def from_sentence(printed: str) -> Optional[Implementation]:
    """From the output of `nix-store --version`; None for any other text.

    `nix-store (Nix) 2.34.8`, `nix-store (Lix, like Nix) 2.95.3`,
    `nix-store (Determinate Nix 3.17.3) 2.33.3`.
    """
    found = _SENTENCE.match(printed.strip())
    number = _version(found["version"]) if found else None
    if found is None or number is None:
        return None
    determinate = _DETERMINATE.fullmatch(found["name"])
    own = _version(determinate["version"]) if determinate else None
    if own is not None:
        return Implementation(Kind.DETERMINATE, own, number)
    return Implementation(Kind.LIX if found["name"].startswith("Lix") else Kind.NIX, number)


def described(version: str) -> str:
    """A greeting's version as shown to the user: `Lix 2.95.3`."""
    known = from_greeting(version)
    return f"{known.kind.value if known else Kind.NIX.value} {version}"


def _version(text: str) -> Optional[Version]:
    """`2.34.8pre1+dfsg` is 2.34.8: suffixes do not matter for the order of versions."""
    found = _NUMBERS.match(text)
    return tuple(map(int, found[0].split("."))) if found else None
