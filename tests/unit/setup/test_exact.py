"""The program in front of a runner: it opens the store, then becomes the runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nix_remote.errors import SetupInputUnusable
from nix_remote.setup import exact


def installed(folder: Path) -> tuple[Path, Path]:
    """The program, for a store in a temporary folder, and that store, which does not exist."""
    runner = folder / "runner"
    runner.write_text('#!/bin/sh\nprintf "<%s>" "$@"\nexit 7\n')
    runner.chmod(0o755)
    file = exact.program(str(runner))
    store = folder / "store"
    program = folder / "program"
    program.write_text(file.text.replace("/nix/store", str(store)))
    program.chmod(file.mode)
    return program, store


def run(program: Path) -> subprocess.CompletedProcess[str]:
    arguments = [str(program), "--action=a b", "", "*"]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=10, check=False)


def test_it_becomes_the_runner_with_the_same_arguments_and_status(tmp_path: Path) -> None:
    program, store = installed(tmp_path)
    store.mkdir()
    done = run(program)
    assert (done.stdout, done.stderr, done.returncode) == ("<--action=a b><><*>", "", 7)


def test_without_a_store_it_runs_no_action(tmp_path: Path) -> None:
    program, store = installed(tmp_path)
    done = run(program)
    assert done.stdout == ""
    assert done.returncode != 0
    assert str(store) in done.stderr


def test_a_runner_has_to_be_an_absolute_path() -> None:
    for name in ("buildbox-run-bubblewrap", "/bin/run; reboot", "/bin/a b"):
        with pytest.raises(SetupInputUnusable, match="--exact"):
            exact.program(name)
