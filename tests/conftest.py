"""Fixtures and options for all tests: a lab of real hosts, and the rules_nixpkgs to use."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from typing import Callable, Iterator, Optional

import hypothesis
import pytest

from lab import lab as laboratory
from lab import server_nix, sshd
from lab.other_bazel import OtherBazel

pytest_plugins = ["tests.compatibility.recording"]

_STAND_IN = Path(__file__).parent / "bazel" / "rules_nixpkgs_stand_in"


# The time of an example depends on the load of the machine.
hypothesis.settings.register_profile("usual", deadline=None)
hypothesis.settings.register_profile("long", max_examples=10_000, deadline=None)
hypothesis.settings.load_profile("usual")


def _builds(option: str) -> server_nix.ServerNix:
    try:
        return server_nix.from_option(option)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rules-nixpkgs",
        type=Path,
        default=_STAND_IN,
        metavar="DIR",
        help="a checkout of rules_nixpkgs for the Bazel tests (default: a stand-in)",
    )
    parser.addoption(
        "--bazel",
        type=Path,
        metavar="PROGRAM",
        help="a Bazel for the Bazel tests (default: Debian's); needs --registry-modules",
    )
    parser.addoption(
        "--registry-modules",
        type=Path,
        metavar="DIR",
        help="a folder with the sources of the modules that this Bazel depends on",
    )
    parser.addoption(
        "--server-nix",
        type=_builds,
        metavar="[PART=]TAR",
        help="a build of Nix or Lix for the lab's current servers; see lab/server_nix.py",
    )
    parser.addoption(
        "--buildbarn",
        type=Path,
        metavar="DIR",
        help="a checkout of bb-remote-execution for tests/buildbarn (default: one of March 2026)",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="also run combinations that add little to other tests",
    )


def pytest_configure() -> None:
    # Background jobs of a shell ignore interrupts, and so would every copier that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def rules_nixpkgs(pytestconfig: pytest.Config) -> Path:
    """The rules_nixpkgs of the tests."""
    folder: Path = pytestconfig.getoption("--rules-nixpkgs").resolve()
    if not (folder / "core" / "nixpkgs.bzl").is_file():
        pytest.exit(f"--rules-nixpkgs: {folder} is not a checkout of rules_nixpkgs", returncode=2)
    return folder


@pytest.fixture(scope="session")
def other_bazel(pytestconfig: pytest.Config) -> Optional[OtherBazel]:
    """The Bazel of the tests, if not Debian's."""
    program, modules = map(pytestconfig.getoption, ("--bazel", "--registry-modules"))
    if (program is None) != (modules is None):
        pytest.exit("--bazel and --registry-modules go together", returncode=2)
    return None if program is None else OtherBazel(program.resolve(), modules.resolve())


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[laboratory.Lab]:
    """One lab for the whole run, which removes it at the end."""
    laboratory.remove_abandoned("pytest")
    builds = pytestconfig.getoption("--server-nix")
    with laboratory.Lab(f"pytest{os.getpid()}", server_nix=builds) as running:
        yield running


AddEntry = Callable[..., str]
"""Adds an entry to the workstation's SSH config: a name, and lines that override good ones."""


@pytest.fixture
def entry(lab: laboratory.Lab) -> Iterator[AddEntry]:
    """Adds entries to the workstation's SSH config for one test. Returns the entry's name."""
    config = "/root/.ssh/config"
    added = []
    good = [
        f"HostName {lab.server.address}",
        f"Port {sshd.PORT}",
        f"User {laboratory.ACCOUNT}",
        "ConnectTimeout 2",
    ]

    def add(name: str, *lines: str) -> str:
        # The first value wins: the test's lines precede the good ones. All identities are
        # tried, so the good one is added only if the test has none.
        own = any("IdentityFile" in line for line in lines)
        identity = [] if own else ["IdentityFile ~/.ssh/id_ed25519"]
        block = "\n".join([f"Host {name}", *lines, *good, *identity]) + "\n\n"
        lab.workstation.write(config, block + lab.workstation.read(config), mode="600")
        added.append(block)
        return name

    yield add
    # Not the text from before: a server that was started meanwhile has its own entries.
    left = lab.workstation.read(config)
    for block in added:
        left = left.replace(block, "", 1)
    lab.workstation.write(config, left, mode="600")
