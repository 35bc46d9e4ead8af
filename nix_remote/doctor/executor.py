"""Runs `on_executor.py` on an executor, over SSH, and returns its findings."""

from __future__ import annotations

import json
from importlib import resources
from typing import Final, Iterator, Sequence

from nix_remote import events
from nix_remote.doctor import on_executor
from nix_remote.doctor.finding import Finding, Status, broken, from_error
from nix_remote.errors import NixRemoteError
from nix_remote.server import connect
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.settings import Settings

LAYER: Final = "executor"

_PATHS_AT_ONCE: Final = 500
"""A command must fit into an SSH packet."""


def program(settle: float) -> str:
    """The text of the script, which needs only Python's standard library.

    `settle`: the settle time of copies, in seconds.
    """
    text = resources.files("nix_remote.doctor").joinpath("on_executor.py").read_text()
    return text.replace(f"\nSETTLE = {on_executor.SETTLE}\n", f"\nSETTLE = {settle}\n")


def examine(settings: Settings, paths: Sequence[str] = ()) -> list[Finding]:
    """The findings of the executor that `settings.host` names: its mount, and these paths."""
    try:
        with connect.open_remote_exec(settings, events.ignore) as remote_exec:
            found: dict[tuple[str, str], Finding] = {}
            script = program(settings.settle)
            for part in _parts(paths):
                # The findings about the mount are the same each time.
                judged = _run(remote_exec, script, part)
                found.update(((each.layer, each.subject), each) for each in judged)
            return list(found.values())
    except NixRemoteError as error:
        return [from_error(LAYER, settings.host, error)]


def _parts(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    yield paths[:_PATHS_AT_ONCE]
    for start in range(_PATHS_AT_ONCE, len(paths), _PATHS_AT_ONCE):
        yield paths[start : start + _PATHS_AT_ONCE]


def _run(remote_exec: RemoteExec, script: str, paths: Sequence[str]) -> list[Finding]:
    done = remote_exec.run(
        ("python3", "-", "--json", *paths),
        stdin=script.encode(),
        waiting_for="the executor to check its store",
    )
    try:
        return [
            Finding(each["layer"], each["subject"], Status(each["status"]), *_texts(each))
            for each in json.loads(done.stdout)
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        text = f"Python did not run: {done.stderr or done.stdout.strip()}"
        return [broken(LAYER, "python", text, "on the executor: apt-get install python3")]


def _texts(each: dict[str, object]) -> tuple[str, str]:
    return str(each["text"]), str(each["fix"])
