"""Checks the export of the store, the NFS server, and the timer, from files on the server.

Pure: judges the output of `server_commands.EXPORTS_COMMAND`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Mapping

from nix_remote.doctor.finding import Finding, broken, ok, unknown, warning
from nix_remote.setup.nfs import PORT, STORE
from nix_remote.setup.nfs_server import LEASE
from nix_remote.text import decimal

LAYER: Final = "nfs"

FEW_THREADS: Final = 16
_ABOVE: Final = (STORE, "/nix", "/")
_CLIENT: Final = re.compile(r"(?P<client>[^\s(]*)(?:\((?P<options>[^)]*)\))?")
_SET_UP: Final = (
    "nix-remote setup server --public-key FILE --executors NETWORK | ssh root@SERVER sh"
)


@dataclass(frozen=True)
class Export:
    """The export of a folder to one client or network."""

    folder: str
    client: str
    options: frozenset[str]


def judge(output: str) -> list[Finding]:
    """The findings for the output of the command."""
    facts = [line.partition(" ") for line in output.splitlines()]
    values: Mapping[str, str] = {name: value.strip() for name, _, value in facts}
    if "timer" not in values:
        return [unknown(LAYER, "export", "this account may not read the exports")]
    serving = any(name == "listen" and port.upper() == f"{PORT:04X}" for name, _, port in facts)
    exports = [each for name, _, line in facts if name == "export" for each in parse(line)]
    # The root of a file system of its own. A bind mount or a subvolume has another root.
    alone = values.get("mounted", "") == "/"
    return [
        *_exported([each for each in exports if each.folder in _ABOVE], serving, alone),
        _served(serving, values),
        _timer(values["timer"]),
    ]


def parse(line: str) -> list[Export]:
    """The exports of a line of `/etc/exports`."""
    words = line.partition("#")[0].split()
    found = []
    for word in words[1:]:
        client = _CLIENT.fullmatch(word)
        if client is not None:
            options = frozenset((client["options"] or "").split(","))
            found.append(Export(words[0].strip('"'), client["client"] or "*", options))
    return found


def _exported(exports: list[Export], serving: bool, alone: bool) -> list[Finding]:
    if not exports:
        if serving:
            return [unknown(LAYER, "export", "an NFS server runs, but /etc/exports has no line")]
        return [broken(LAYER, "export", f"{STORE} is not exported", _SET_UP)]
    return [_export(each, alone) for each in exports]


def _export(export: Export, alone: bool) -> Finding:
    what = f"{export.folder} to {export.client}"
    again = f"replace that line: {_SET_UP}"
    if "rw" in export.options:
        return broken(LAYER, "export", f"{what} is writable: an executor could change it", again)
    if export.folder != STORE:
        return warning(LAYER, "export", f"{what} is more than the store", again)
    if export.client == "*":
        return warning(LAYER, "export", f"{what}: every host may mount it", again)
    if "subtree_check" not in export.options and not alone:
        text = f"{what} has no_subtree_check: clients that guess file handles can read other files"
        fix = f"mount a file system of its own on {STORE}, or {again}"
        return warning(LAYER, "export", text, fix)
    return ok(LAYER, "export", f"{what}, read-only")


def _served(serving: bool, values: Mapping[str, str]) -> Finding:
    threads, lease = (decimal(values.get(name, "")) for name in ("threads", "lease"))
    if not serving:
        text = f"no process listens on port {PORT} of the server"
        return broken(LAYER, "server", text, "on the server: systemctl enable --now nfs-server")
    if threads is not None and threads < FEW_THREADS:
        fix = "on the server, in /etc/nfs.conf: [nfsd] threads=32"
        return warning(LAYER, "server", f"the NFS server has only {threads} threads", fix)
    if lease is not None and lease > LEASE:
        text = f"leases of {lease} s: deletions and restarts may wait that long for a dead executor"
        fix = f"on the server, in /etc/nfs.conf: [nfsd] lease-time={LEASE} and grace-time={LEASE};"
        return warning(LAYER, "server", text, f"{fix} then systemctl restart nfs-server")
    return ok(LAYER, "server", f"the NFS server listens on port {PORT}")


def _timer(state: str) -> Finding:
    if not state:
        return unknown(LAYER, "timer", "the server has no systemd")
    if state != "enabled":
        text = f"nix-remote-collect.timer is {state}: old roots will fill the disk"
        return warning(LAYER, "timer", text, "systemctl enable --now nix-remote-collect.timer")
    return ok(LAYER, "timer", "nix-remote-collect.timer is enabled")
