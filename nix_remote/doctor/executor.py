"""Runs `on_executor.py` on an executor, over SSH, and brings back what it finds."""

from __future__ import annotations

import json
from importlib import resources
from typing import Final, Iterator, Sequence

from nix_remote import events
from nix_remote.doctor.finding import Finding, Status, broken, from_error
from nix_remote.errors import NixRemoteError
from nix_remote.server import connect
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.settings import Settings

LAYER: Final = "executor"

_PATHS_AT_ONCE: Final = 500
"""A command has to fit into a packet of SSH."""


def program() -> str:
    """The text of the program, which needs nothing but Python's standard library."""
    return resources.files("nix_remote.doctor").joinpath("on_executor.py").read_text()


def examine(settings: Settings, paths: Sequence[str] = ()) -> list[Finding]:
    """What is found on the executor that `settings.host` names: its mount, and these paths."""
    try:
        with connect.open_remote_exec(settings, events.ignore) as remote_exec:
            found: dict[tuple[str, str], Finding] = {}
            for part in _parts(paths):
                # Of the mount it says the same each time.
                found.update(((each.layer, each.subject), each) for each in _run(remote_exec, part))
            return list(found.values())
    except NixRemoteError as error:
        return [from_error(LAYER, settings.host, error)]


def _parts(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    yield paths[:_PATHS_AT_ONCE]
    for start in range(_PATHS_AT_ONCE, len(paths), _PATHS_AT_ONCE):
        yield paths[start : start + _PATHS_AT_ONCE]


def _run(remote_exec: RemoteExec, paths: Sequence[str]) -> list[Finding]:
    done = remote_exec.run(
        ("python3", "-", "--json", *paths),
        stdin=program().encode(),
        waiting_for="the executor to look at its store",
    )
    try:
        return [
            Finding(each["layer"], each["subject"], Status(each["status"]), *_texts(each))
            for each in json.loads(done.stdout)
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        text = f"Python did not run there: {done.stderr or done.stdout.strip()}"
        return [broken(LAYER, "python", text, "apt-get install python3, on the executor")]


def _texts(each: dict[str, object]) -> tuple[str, str]:
    return str(each["text"]), str(each["fix"])
