"""Nix servers whose programs are of several versions: the account's, the daemon, the collector.

All versions are on one host, below `/opt`; the dynamic linker of each release starts its
programs with its own libraries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Mapping

from lab import images, nix
from lab.host import Host
from lab.implementations import replay
from lab.lab import Lab
from nix_remote.protocol.implementations import Implementation, Kind

CURRENT: Final = "current"
V2_26: Final = "2.26"
V2_8: Final = "2.8"
GREETS_2_35: Final = "greets-2.35"
"""The account's Nix says it is 2.35, and behaves like the current one."""
LIKE_2_36: Final = "like-2.36"
"""The account's Nix asks the daemon for each temporary root once per session."""
LIKE_LIX: Final = "like-lix-2.93"
"""The account's Nix is greeted by the daemon, and makes no durable roots on request."""

_REPLAYED: Final = {
    GREETS_2_35: Implementation(Kind.NIX, (2, 35, 2)),
    LIKE_2_36: Implementation(Kind.NIX, (2, 36, 0)),
    LIKE_LIX: Implementation(Kind.LIX, (2, 93, 3)),
}
_REAL: Final = Implementation(Kind.NIX, (2, 34))
_RELEASES: Final = {V2_26: images.STABLE, V2_8: images.OLD}
_REPLAYS: Final = "/opt/replays"
_PROGRAMS: Final = ("nix-daemon", "nix-store")


@dataclass(frozen=True)
class Mixture:
    """Which version each part of a server is of."""

    account: str
    """On the PATH of logins."""
    daemon: str
    collector: str

    @property
    def name(self) -> str:
        return "-".join(dict.fromkeys((self.account, self.daemon, self.collector)))


MIXED: Final = (
    # What greets is newer than the daemon and the collector.
    Mixture(GREETS_2_35, CURRENT, CURRENT),
    Mixture(LIKE_2_36, CURRENT, CURRENT),
    Mixture(LIKE_2_36, V2_8, V2_8),
    Mixture(LIKE_LIX, CURRENT, CURRENT),
    Mixture(CURRENT, V2_26, V2_8),
    # The daemon is newer than the collector, or older.
    Mixture(V2_26, CURRENT, V2_8),
    Mixture(CURRENT, V2_8, CURRENT),
)
ALL: Final = (
    Mixture(V2_8, V2_8, V2_8),
    Mixture(V2_26, V2_26, V2_26),
    Mixture(CURRENT, CURRENT, CURRENT),
    *MIXED,
)


def start(lab: Lab, name: str) -> Host:
    """Starts a server that has every version."""
    binds: Mapping[Path, str] = {
        images.lower_directories(image)[0]: f"/opt/nix-{release}"
        for release, image in _RELEASES.items()
    }
    image = images.TRACED_SERVER
    server = lab.start_server(name, nix.Version.CURRENT, image=image, binds=binds)
    server.write(f"{_REPLAYS}/relay.py", replay.RELAY.read_text())
    for account, release in _REPLAYED.items():
        profile = json.dumps(replay.profile(release, _REAL))
        server.write(f"{_REPLAYS}/{account}.json", profile)
    return server


def use(server: Host, mixture: Mixture) -> None:
    """Makes the server's programs those of the mixture, and starts its daemon anew."""
    for each in _PROGRAMS:
        script = f'#!/bin/sh\nexec {program(mixture.account, each)} "$@"\n'
        if each == "nix-daemon" and mixture.account in _REPLAYED:
            # Root's store needs no daemon: it is that of the current version.
            relay = f"/usr/bin/python3 {_REPLAYS}/relay.py {_REPLAYS}/{mixture.account}.json {each}"
            script = (
                f'#!/bin/sh\n[ "$(id -u)" = 0 ] || exec {relay} "$@"\nexec /usr/bin/{each} "$@"\n'
            )
        server.write(f"/usr/local/bin/{each}", script, mode="755")
    server.stop_service("nix-daemon")
    server.start_service("nix-daemon", program(mixture.daemon, "nix-daemon").split())


def program(version: str, name: str) -> str:
    """The command that starts one of Nix's programs in that version."""
    if version not in _RELEASES:
        return f"/usr/bin/{name}"
    root = f"/opt/nix-{version}"
    libraries = f"{root}/usr/lib/x86_64-linux-gnu"
    return (
        f"{libraries}/ld-linux-x86-64.so.2 --argv0 {name} "
        f"--library-path {libraries}:{root}/usr/lib/nix {root}/usr/bin/{name}"
    )
