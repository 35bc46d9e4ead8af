"""The contenders: nix_remote, its rivals, and two limits that no copy can beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from bench.rig import NIX_COPY, Measurement, Rig

OURS = "nix-remote"


@dataclass(frozen=True)
class Copier:
    """A program that copies a closure; `command(alias, path)`."""

    name: str
    command: Callable[[str, str], list[str]]


OUR_COPIER = Copier(OURS, lambda alias, path: ["nix-remote", "copy", f"--host={alias}", path])

EARLIER = Copier(
    "nix-remote-earlier",
    lambda alias, path: ["nix-remote-earlier", "copy", f"--host={alias}", path],
)
"""Another checkout of nix_remote, installed by `Rig.install_earlier`."""

OF_NIX_REMOTE = (OUR_COPIER, EARLIER)

COPIERS = (
    OUR_COPIER,
    Copier("ssh-ng", lambda alias, path: [*NIX_COPY, "--to", f"ssh-ng://{alias}", path]),
    Copier("ssh", lambda alias, path: [*NIX_COPY, "--to", f"ssh://{alias}", path]),
    Copier("nix-copy-closure", lambda alias, path: ["nix-copy-closure", "--to", alias, path]),
)


@dataclass(frozen=True)
class Limit:
    """A part of the work of a copy; `run(rig, stream)` takes a recorded copy."""

    name: str
    run: Callable[[Rig, str], Measurement]


def _import(rig: Rig, stream: str) -> Measurement:
    command = f"nix-store --serve --write <{stream} >/dev/null"
    return rig.run(rig.server, ["bash", "-c", command])


def _send(rig: Rig, stream: str) -> Measurement:
    command = f"ssh {rig.alias} 'cat >/dev/null' <{stream}"
    return rig.run(rig.workstation, ["bash", "-c", command])


IMPORT = Limit("limit-import", _import)
"""The server's Nix, as root, fed from a file: no network, no login, no daemon."""

SEND = Limit("limit-send", _send)
"""One login, and the same bytes to a program that drops them."""

LIMITS = (IMPORT, SEND)
