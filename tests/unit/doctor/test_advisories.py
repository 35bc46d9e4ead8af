"""Which versions have which flaws; and that the server's script says the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nix_remote.doctor import advisories
from nix_remote.doctor.finding import Status
from nix_remote.protocol.advisories import ADVISORIES, affecting
from nix_remote.protocol.implementations import from_sentence
from nix_remote.setup import advisory_check

REPAIR, STACK, LINK, BUILD = range(4)
NIX, LIX, DETERMINATE = "nix (Nix) ", "nix (Lix, like Nix) ", "nix (Determinate Nix "

# The ranges as the advisories have them.
KNOWN = [
    (f"{NIX}2.3.18", {REPAIR, BUILD}),
    (f"{NIX}2.8.0", {REPAIR, BUILD}),
    (f"{NIX}2.18.1", {REPAIR, BUILD}),
    (f"{NIX}2.18.2", {REPAIR, BUILD, LINK}),
    (f"{NIX}2.20.4", {REPAIR, BUILD}),
    (f"{NIX}2.20.5", {REPAIR, BUILD, LINK}),
    (f"{NIX}2.21.0", {REPAIR, BUILD, LINK}),
    (f"{NIX}2.24.3", {REPAIR, BUILD, LINK}),
    (f"{NIX}2.24.4", {REPAIR, BUILD, LINK, STACK}),
    (f"{NIX}2.24.15", {REPAIR, LINK, STACK}),
    (f"{NIX}2.26.3", {REPAIR, BUILD, LINK, STACK}),
    (f"{NIX}2.26.4", {REPAIR, LINK, STACK}),
    (f"{NIX}2.28.6", {REPAIR, STACK}),
    (f"{NIX}2.28.7", {REPAIR}),
    (f"{NIX}2.28.8", set()),
    (f"{NIX}2.29.4", {REPAIR}),
    (f"{NIX}2.30.6", set()),
    (f"{NIX}2.34.4", {REPAIR, LINK, STACK}),
    (f"{NIX}2.34.6", {REPAIR, STACK}),
    (f"{NIX}2.34.8", {REPAIR}),
    (f"{NIX}2.34.9", set()),
    (f"{NIX}2.35.2", {REPAIR}),
    (f"{NIX}2.35.3", set()),
    (f"{NIX}2.36.0", set()),
    (f"{LIX}2.91.1", {REPAIR, BUILD}),
    (f"{LIX}2.92.9", {REPAIR}),
    (f"{LIX}2.93.0", {REPAIR, BUILD, STACK}),
    (f"{LIX}2.93.3", {REPAIR, STACK}),
    (f"{LIX}2.95.1", {REPAIR, STACK}),
    (f"{LIX}2.95.3", {REPAIR}),
    (f"{LIX}2.95.4", set()),
    (f"{DETERMINATE}3.17.2) 2.33.3", {REPAIR, LINK, STACK}),
    (f"{DETERMINATE}3.19.1) 2.34.6", {REPAIR}),
    (f"{DETERMINATE}3.23.2) 2.35.3", set()),
]


@pytest.mark.parametrize(("message", "flaws"), KNOWN)
def test_the_flaws_of_a_version(message: str, flaws: set[int]) -> None:
    nix = from_sentence(message)
    assert nix is not None
    assert {ADVISORIES.index(each) for each in affecting(nix)} == flaws


@pytest.mark.parametrize(("message", "flaws"), KNOWN)
def test_the_servers_script_says_the_same(message: str, flaws: set[int], tmp_path: Path) -> None:
    program = tmp_path / "nix-store"
    program.write_text(f"#!/bin/sh\necho '{message}'\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-euc", f"PATH={tmp_path}:$PATH\n{advisory_check.steps()}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    # Determinate Nix has no number of its own for the oldest: those that are so old are gone.
    facts = {number for number, each in enumerate(ADVISORIES) if each.name in done.stderr}
    assert facts == flaws


def test_a_server_without_a_version_is_no_failure_of_the_script(tmp_path: Path) -> None:
    program = tmp_path / "nix-store"
    program.write_text("#!/bin/sh\nexit 127\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-euc", f"PATH={tmp_path}:$PATH\n{advisory_check.steps()}"], timeout=20, check=False
    )
    assert done.returncode == 0


def test_the_finding_is_a_warning_that_says_what_to_check() -> None:
    found = advisories.judge(f"{LIX}2.95.1\n")
    assert {each.status for each in found} == {Status.WARNING}
    stack = next(each for each in found if "CVE-2026-44028" in each.text)
    assert stack.text.startswith("Lix 2.95.1, unless it is patched: ")
    assert "Lix 2.95.2 or later" in stack.fix
    assert "apt changelog nix-bin" in stack.fix
    assert "Nix 2.31.6 or later" in advisories.judge(f"{NIX}2.31.5")[0].fix


def test_no_flaw_and_no_answer() -> None:
    assert advisories.judge(f"{NIX}2.35.3")[0].status is Status.OK
    assert advisories.judge("")[0].status is Status.UNKNOWN
