"""Checks that Nix on the server accepts paths and keeps them, by sending one.

The path is an empty file. It stays until the server's next garbage collection; its durable root
is removed at once.
"""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Callable, Final, Optional, Sequence

from nix_remote import events
from nix_remote.doctor.finding import Finding, from_error, ok, unknown, warning
from nix_remote.errors import NixRemoteError, PromiseError, TransferError, TrustError
from nix_remote.local.signing import SigningKey
from nix_remote.server import connect
from nix_remote.server.gc_roots.counted import uncounted
from nix_remote.server.gc_roots.listing import list_roots, remove_roots
from nix_remote.server.gc_roots.names import Owner, Root, Roots, location
from nix_remote.server.nix_errors import ReferenceVanished
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.server.stores.base import DurableRoot, Outgoing, RemoteStore
from nix_remote.server.trust import PROBE, PROBE_CONTENT
from nix_remote.settings import Settings
from nix_remote.ssh.connect import Connector
from nix_remote.store import base32
from nix_remote.store.paths import PathInfo, parse_store_path

LAYER: Final = "nix"

OLD_DAYS: Final = 90
"""Roots that were not used for so long show that nothing removes old roots."""


@dataclass(frozen=True)
class Trial:
    """A path to be sent, and its root."""

    info: PathInfo
    root: DurableRoot


def examine(
    settings: Settings, connector: Connector, key: Optional[SigningKey], trial: Trial
) -> list[Finding]:
    """Opens a session, sends a path, makes a durable root. Stops at the first failure."""
    found: list[Finding] = []
    made: list[str] = []
    steps: tuple[tuple[str, Callable[[], str], Callable[[RemoteStore, Trial], None]], ...] = (
        ("trust", lambda: _passed_trust(key), _send),
        ("durable root", lambda: _passed_root(made), _keep),
    )

    def listen(event: events.Event) -> None:
        if isinstance(event, events.Connected):
            found.append(ok(LAYER, "nix", event.description))
        elif isinstance(event, events.RootMade):
            made.append(event.location)

    try:
        with connect.open_store(settings, listen, key=key, connector=connector) as store:
            for subject, passed, step in steps:
                try:
                    step(store, trial)
                except (TrustError, TransferError, PromiseError) as error:
                    return [*found, from_error(LAYER, subject, error)]
                found.append(ok(LAYER, subject, passed()))
    except NixRemoteError as error:
        # Before the session is open, the problem is Nix itself; later, the session ended.
        found.append(from_error(LAYER, "session" if found else "nix", error))
    return found


def _passed_trust(key: Optional[SigningKey]) -> str:
    return "the server accepts our paths" + (f", signed by {key.name}" if key else "")


def _passed_root(made: Sequence[str]) -> str:
    """The folder for roots. A collector may have deleted the path; then there is no root."""
    if not made:
        return "it was made"
    return f"the server's collector counts the roots in {PurePath(made[-1]).parents[2]}"


def new_trial(user: str) -> Trial:
    """A new path. A server accepts a path that it already has from every account."""
    digest = base32.encode(hashlib.sha256(os.urandom(32)).digest()[:20])
    info = replace(PROBE, path=parse_store_path(f"/nix/store/{digest}-nix-remote-doctor"))
    owner = Owner(platform.node(), user, PurePath("doctor"))
    return Trial(info, DurableRoot(info.path, location(owner, None, info.path)))


def _send(store: RemoteStore, trial: Trial) -> None:
    store.check_acceptable([trial.info])
    store.push([Outgoing(trial.info, iter([PROBE_CONTENT]))])


def _keep(store: RemoteStore, trial: Trial) -> None:
    # If a collector deletes the path at this moment, the server is still correct.
    try:
        store.secure([trial.info.path], [trial.root])
    except ReferenceVanished:
        return


def roots(remote_exec: RemoteExec, alias: str) -> list[Finding]:
    """Checks the existing durable roots. Removes the root of the trial."""
    try:
        listed = list_roots(remote_exec, alias)
        ours = [root for root in listed.roots if root.path.endswith("-nix-remote-doctor")]
        if ours:
            remove_roots(remote_exec, alias, ours)
    except NixRemoteError as error:
        return [warning(LAYER, "roots", f"[{error.code}] {error.what}", error.fix)]
    others = tuple(root for root in listed.roots if root not in ours)
    missed = uncounted(remote_exec, others) if others else frozenset()
    return [judge_roots(Roots(listed.now, others)), *judge_counted(len(others), missed)]


def judge_counted(count: int, missed: Optional[frozenset[Root]]) -> list[Finding]:
    """The roots that do not protect their paths; no finding if all do."""
    if missed is None:
        text = "this account may not check that the server's collector counts them"
        return [unknown(LAYER, "roots", text)]
    if not missed:
        return []
    text = f"the server's collector does not count {len(missed)} of {count}: they protect nothing"
    fix = "copy their paths again, or remove them: nix-remote roots list names them"
    return [warning(LAYER, "roots", text, fix)]


def judge_roots(listed: Roots) -> Finding:
    """Whether old roots are removed."""
    ages = [listed.now - root.last_used for root in listed.roots]
    old = sum(1 for age in ages if age > OLD_DAYS * 86400)
    if old:
        text = f"{old} of {len(ages)} were not used for {OLD_DAYS} days: nothing removes them"
        fix = (
            f"nix-remote roots prune --older-than {OLD_DAYS}d; permanently: the timer of setup"
            " server"
        )
        return warning(LAYER, "roots", text, fix)
    return ok(LAYER, "roots", f"{len(ages)}, none older than {OLD_DAYS} days")
