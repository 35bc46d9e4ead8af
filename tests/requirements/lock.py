"""The list as text: versions, their files, and the selection of files for a machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Iterable, Iterator, Mapping, Sequence

from packaging import tags
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename

PATH: Final = Path(__file__).parents[2] / "bzl" / "private" / "python" / "requirements.txt"

HEADER: Final = (
    "# Made by `python -m tests.requirements update`; do not edit.\n"
    "# The names of the files stand in the order of their hashes.\n"
)

_SYSTEMS: Final = ("manylinux", "musllinux", "linux", "macosx", "any")
"""How the tags of platforms begin that the copier can run on."""
_OLDEST_PYTHON: Final = 9
"""The minor version of the oldest CPython 3 that is supported."""


@dataclass(frozen=True, order=True)
class File:
    """A wheel."""

    name: str
    sha256: str
    """In hexadecimal."""

    @property
    def tags(self) -> frozenset[tags.Tag]:
        """The interpreters, ABIs and platforms that it is for."""
        return _tags(self.name)


@dataclass(frozen=True)
class Pin:
    """One version of a package."""

    requirement: str
    """`NAME==VERSION`, and after `;` the machines that it is for."""
    files: tuple[File, ...]

    @property
    def parsed(self) -> Requirement:
        return Requirement(self.requirement)

    @property
    def name(self) -> NormalizedName:
        return canonicalize_name(self.parsed.name)

    @property
    def version(self) -> str:
        return next(iter(self.parsed.specifier)).version


@dataclass(frozen=True)
class Machine:
    """A Python on a platform."""

    python: tuple[int, int]
    system: str
    """As `sys.platform` has it."""
    processor: str
    """As `platform.machine()` has it."""
    platforms: tuple[str, ...]
    """Tags of platforms whose files run there."""

    def needs(self, pin: Pin) -> bool:
        """Whether that version is the one that is installed there."""
        version = ".".join(map(str, self.python))
        environment = {
            # Of the first patch releases some packages do not want to know.
            "python_full_version": f"{version}.9",
            "python_version": version,
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "sys_platform": self.system,
            "platform_machine": self.processor,
        }
        marker = pin.parsed.marker
        return marker is None or marker.evaluate(environment)

    def runs(self, file: File) -> bool:
        """Whether a file can be installed there."""
        return not _supported(self.python, self.platforms).isdisjoint(file.tags)


def render(pins: Iterable[Pin]) -> str:
    """The text of the list."""
    return HEADER + "".join(map(_block, pins))


def parse(text: str) -> list[Pin]:
    """The pins of a text that `render` made. Raises `ValueError` for another one."""
    pins: list[Pin] = []
    names: list[str] = []
    joined = text[len(HEADER) :].replace("\\\n", "")
    for line in joined.splitlines():
        if line.startswith("# "):
            names.append(line[2:])
            continue
        requirement, *hashes = line.split(" --hash=sha256:")
        files = zip(names, (each.strip() for each in hashes))
        if len(names) != len(hashes):
            raise ValueError(
                f"{len(names)} files and {len(hashes)} hashes of {requirement.strip()}"
            )
        pins.append(Pin(requirement.strip(), tuple(File(*each) for each in files)))
        names = []
    if render(pins) != text:
        raise ValueError("the list was not made by this program")
    return pins


def pins(exported: str, files: Mapping[tuple[str, str], Sequence[File]]) -> list[Pin]:
    """The pins of `NAME==VERSION ; MARKER` lines, with those files that the copier can use."""
    found = []
    for line in exported.splitlines():
        pin = Pin(line.strip(), ())
        usable = sorted(each for each in files[pin.name, pin.version] if _is_usable(each))
        found.append(Pin(pin.requirement, tuple(usable)))
    return found


def files_of_uv_lock(text: str) -> dict[tuple[str, str], list[File]]:
    """The wheels that a `uv.lock` names, by package and version."""
    found: dict[tuple[str, str], list[File]] = {}
    for name, sha256 in re.findall(r'/([^/"]+\.whl)", hash = "sha256:([0-9a-f]{64})"', text):
        package, version, _, _ = parse_wheel_filename(name)
        found.setdefault((package, str(version)), []).append(File(name, sha256))
    return found


@cache
def _tags(name: str) -> frozenset[tags.Tag]:
    return parse_wheel_filename(name)[3]


@cache
def _supported(python: tuple[int, int], platforms: tuple[str, ...]) -> frozenset[tags.Tag]:
    interpreter = f"cp{python[0]}{python[1]}"
    return frozenset(
        [
            *tags.cpython_tags(python, platforms=platforms),
            *tags.compatible_tags(python, interpreter, platforms),
        ]
    )


def _block(pin: Pin) -> str:
    names = "".join(f"# {file.name}\n" for file in pin.files)
    hashes = "".join(f" \\\n    --hash=sha256:{file.sha256}" for file in pin.files)
    return f"{names}{pin.requirement}{hashes}\n"


def _is_usable(file: File) -> bool:
    return any(tag.platform.startswith(_SYSTEMS) and not _is_too_old(tag) for tag in file.tags)


def _is_too_old(tag: tags.Tag) -> bool:
    """Whether it is for one version of CPython alone, and that is not supported."""
    version = re.fullmatch(r"cp3(\d+)", tag.interpreter)
    return version is not None and tag.abi != "abi3" and int(version[1]) < _OLDEST_PYTHON


def by_package(pins: Iterable[Pin]) -> Iterator[list[Pin]]:
    """The pins in lists that have each package once at most."""
    left = list(pins)
    while left:
        taken: dict[str, Pin] = {}
        for pin in left:
            taken.setdefault(pin.name, pin)
        yield list(taken.values())
        left = [pin for pin in left if pin not in taken.values()]
