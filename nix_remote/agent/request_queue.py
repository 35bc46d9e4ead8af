"""The copy queue for a request: which requests can share one, and how it is made.

Requests share a queue, and with it one connection, only if everything is equal that decides
which server is reached, how the connection is made, and what the server trusts.
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

_OF_SHELLS: Final = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})
"""Variables that shells set for themselves; they differ between any two shells."""
_OF_KERBEROS: Final = "KRB5"


def key(request: CopyRequest) -> QueueKey:
    """What requests must have in common to use one connection. Raises `SshConfigError`."""
    chosen = request.settings
    signed = request.signing_key.public if request.signing_key is not None else ""
    store = (chosen.protocol, chosen.local_store, chosen.stall_timeout, signed)
    reached = (chosen.transport, request.destination, _environment_digest(request))
    return QueueKey(host=(chosen.host, chosen.ssh_config), how=(*store, *reached))


def _environment_digest(request: CopyRequest) -> str:
    """A digest of the variables that programs started for the connection may read."""
    chosen, to = request.settings, request.destination
    seen = {}
    if to.starts_programs or chosen.transport is TransportChoice.OPENSSH:
        seen = {k: v for k, v in chosen.environment.items() if k not in _OF_SHELLS}
    elif to.tries_kerberos and chosen.transport is TransportChoice.AUTO:
        # If no key is accepted, `ssh` is tried with a ticket.
        seen = {k: v for k, v in chosen.environment.items() if k.startswith(_OF_KERBEROS)}
    text = "\0".join(f"{name}={value}" for name, value in sorted(seen.items()))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def new_queue(request: CopyRequest) -> CopyQueue:
    """A queue to the request's server, for this request and all with the same key."""
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
            name = f"{os.devnull}/turn"  # cannot be locked
        return UploadLock(Path(name), stall_timeout=chosen.stall_timeout, listener=listener)

    return CopyQueue(chosen.host, request.local, open_with, make_lock)
