"""The copy queue for a request: which requests can share one, and how it is made.

Requests share a queue, and with it one connection, only if everything is equal that decides
where the connection leads, how it is made, and what is trusted there.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from nix_remote import events
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.registry import QueueKey
from nix_remote.agent.session_cache import OpenStore
from nix_remote.agent.thin_client import connecting, framing
from nix_remote.copy.request import CopyRequest
from nix_remote.server import connect
from nix_remote.server.upload_lock import UploadLock
from nix_remote.settings import TransportChoice
from nix_remote.ssh import connect as ssh_connect

_OF_NO_PROGRAM: Final = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})
"""What shells set for themselves, and what differs between any two of them."""
_OF_KERBEROS: Final = "KRB5"


def key(request: CopyRequest) -> QueueKey:
    """What requests must have in common to use one connection. Raises `SshConfigError`."""
    chosen = request.settings
    signed = request.signing_key.public if request.signing_key is not None else ""
    store = (chosen.protocol, chosen.local_store, chosen.stall_timeout, signed)
    reached = (chosen.transport, request.destination, _seen_by_programs(request))
    return QueueKey(host=(chosen.host, chosen.ssh_config), how=(*store, *reached))


def _seen_by_programs(request: CopyRequest) -> str:
    """A digest of the variables that the programs started for the connection may read."""
    chosen, to = request.settings, request.destination
    seen = {}
    if to.starts_programs or chosen.transport is TransportChoice.OPENSSH:
        seen = {k: v for k, v in chosen.environment.items() if k not in _OF_NO_PROGRAM}
    elif to.tries_kerberos and chosen.transport is TransportChoice.AUTO:
        # If no key is accepted, `ssh` is tried with a ticket.
        seen = {k: v for k, v in chosen.environment.items() if k.startswith(_OF_KERBEROS)}
    text = "\0".join(f"{name}={value}" for name, value in sorted(seen.items()))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def new_queue(request: CopyRequest) -> CopyQueue:
    """A queue to the request's server, for this request and all that have its key."""
    chosen = request.settings
    connector = ssh_connect.Connector(request.destination, chosen.transport, chosen.ssh_config)

    def open_with(listener: events.Listener) -> OpenStore:
        return lambda first: connect.open_store(
            chosen,
            listener,
            first,
            key=request.signing_key,
            connector=connector,
        )

    def make_lock(listener: events.Listener) -> UploadLock:
        try:
            name = f"{connecting.folder()}/turn-{chosen.host}"
        except framing.Unusable:
            name = f"{os.devnull}/turn"  # which cannot be locked
        return UploadLock(Path(name), patience=chosen.stall_timeout, listener=listener)

    return CopyQueue(chosen.host, request.local, open_with, make_lock)
