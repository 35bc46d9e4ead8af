"""What every test may ask for: a laboratory of real hosts, and which rules_nixpkgs to use."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab import lab as laboratory

_STAND_IN = Path(__file__).parent / "bazel" / "rules_nixpkgs_stand_in"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rules-nixpkgs",
        type=Path,
        default=_STAND_IN,
        metavar="DIR",
        help="a checkout of rules_nixpkgs for the Bazel tests (default: the stand-in for it)",
    )


@pytest.fixture(scope="session")
def rules_nixpkgs(pytestconfig: pytest.Config) -> Path:
    """The rules_nixpkgs that the tests are to run with."""
    folder: Path = pytestconfig.getoption("--rules-nixpkgs").resolve()
    if not (folder / "core" / "nixpkgs.bzl").is_file():
        pytest.exit(f"--rules-nixpkgs: {folder} is not a checkout of rules_nixpkgs", returncode=2)
    return folder


@pytest.fixture(scope="session")
def lab() -> Iterator[laboratory.Lab]:
    """One lab for the whole run; it ends with it."""
    _remove_abandoned_labs()
    with laboratory.Lab(f"pytest{os.getpid()}") as running:
        yield running


def _remove_abandoned_labs() -> None:
    """Ends the labs of test runs that were killed."""
    for name in laboratory.names():
        owner = re.fullmatch(r"pytest(\d+)", name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            laboratory.Lab(name).down()
