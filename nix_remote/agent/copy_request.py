"""What one `nix-remote copy` asks for, made of its options, an environment and a folder.

Those of this process, or those of a client that an agent works for.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import pwd
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Final, Mapping, Optional, Sequence

from nix_remote import events, manifests, private_key, settings
from nix_remote.agent import thin_client
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.registry import QueueKey
from nix_remote.agent.session_cache import OpenStore
from nix_remote.cli import options as common
from nix_remote.cli.result import Result, describe_copy
from nix_remote.copy.engine import CopyOptions, CopyResult
from nix_remote.local.signing import SigningKey
from nix_remote.local.store import LocalStore
from nix_remote.manifests import Manifest
from nix_remote.server import connect
from nix_remote.server.gc_roots.names import Owner, location
from nix_remote.server.stores.base import DurableRoot
from nix_remote.server.upload_lock import UploadLock
from nix_remote.settings import TransportChoice
from nix_remote.ssh import connect as ssh_connect
from nix_remote.ssh.config import host_config
from nix_remote.store.paths import PathInfo, StorePath

_USER_VARIABLES: Final = ("LOGNAME", "USER", "LNAME", "USERNAME")
_OF_NO_PROGRAM: Final = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})
"""What shells set for themselves, and what differs between any two of them."""
_OF_KERBEROS: Final = "KRB5"


@dataclass(frozen=True)
class CopyRequest:
    """A copy that is wanted."""

    settings: settings.Settings
    signing_key: Optional[SigningKey]
    """None: nothing is signed."""
    tops: tuple[StorePath, ...]
    options: CopyOptions
    manifest: Optional[Path]

    @property
    def local(self) -> LocalStore:
        """The store to copy from."""
        return LocalStore(self.settings.local_store)

    @cached_property
    def roots(self) -> list[DurableRoot]:
        """The durable roots for the top paths."""
        return durable_roots(self.settings, self.tops)

    @cached_property
    def destination(self) -> host_config.HostConfig:
        """Where the host's name leads. Raises `SshConfigError`."""
        local = host_config.this_user(self.settings.environment)
        return host_config.resolve(self.settings.host, self.settings.ssh_config, local)

    @property
    def key(self) -> QueueKey:
        """What orders have to have in common to go over one connection."""
        chosen = self.settings
        signed = self.signing_key.public if self.signing_key is not None else ""
        store = (chosen.protocol, chosen.local_store, chosen.stall_timeout, signed)
        reached = (chosen.transport, self.destination, self._seen_by_programs)
        return QueueKey(host=(chosen.host, chosen.ssh_config), how=(*store, *reached))

    @property
    def _seen_by_programs(self) -> str:
        """A digest of the variables that the programs started for the connection may read."""
        chosen, to = self.settings, self.destination
        seen = {}
        if to.starts_programs or chosen.transport is TransportChoice.OPENSSH:
            seen = {k: v for k, v in chosen.environment.items() if k not in _OF_NO_PROGRAM}
        elif to.tries_kerberos and chosen.transport is TransportChoice.AUTO:
            # Where no key lets us in, `ssh` is tried with a ticket.
            seen = {k: v for k, v in chosen.environment.items() if k.startswith(_OF_KERBEROS)}
        text = "\0".join(f"{name}={value}" for name, value in sorted(seen.items()))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def closure(self) -> Sequence[PathInfo]:
        """Everything the top paths need. Raises `LocalStoreError`."""
        return self.local.closure(self.tops)


def prepare(
    options: argparse.Namespace, environment: Mapping[str, str], folder: str
) -> CopyRequest:
    """An order; relative names are relative to `folder`. Raises `NixRemoteError`."""
    chosen = settings.choose(
        environment,
        host=options.host,
        workspace=Path(folder) / (options.workspace or ""),
        package=options.package,
        transport=options.transport,
        sign_key_file=options.sign_key,
    )
    chosen = replace(
        chosen,
        ssh_config=chosen.ssh_config and folder / chosen.ssh_config,
        sign_key_file=chosen.sign_key_file and folder / chosen.sign_key_file,
    )
    local = LocalStore(chosen.local_store)
    return CopyRequest(
        settings=chosen,
        signing_key=common.signing_key(chosen.sign_key_file),
        tops=tuple(
            common.store_paths([os.path.join(folder, path) for path in options.paths], local)
        ),
        options=CopyOptions(
            substitute_seconds=options.substitute_timeout if options.substitute else None,
            check=common.check(options),
            replaced=common.replaced(options),
        ),
        manifest=options.manifest,
    )


def durable_roots(chosen: settings.Settings, tops: Sequence[StorePath]) -> list[DurableRoot]:
    """The durable roots for top paths: where they are follows from workspace and package."""
    whose = owner(chosen.environment, chosen.workspace)
    return [DurableRoot(top, location(whose, chosen.package, top)) for top in tops]


def owner(environment: Mapping[str, str], workspace: PurePath) -> Owner:
    """For whom a copy keeps paths: this user's workspace on this machine."""
    return Owner(platform.node(), _user(environment), workspace)


def new_line(order: CopyRequest) -> CopyQueue:
    """A line to the order's server, for this order and all that have its key."""
    chosen = order.settings
    way = ssh_connect.Connector(chosen.transport, chosen.ssh_config)

    def open_with(listener: events.Listener) -> OpenStore:
        return lambda first: connect.open_store(
            chosen, listener, first, key=order.signing_key, way=way
        )

    def make_turn(listener: events.Listener) -> UploadLock:
        try:
            name = f"{thin_client.folder()}/turn-{chosen.host}"
        except thin_client.Unusable:
            name = f"{os.devnull}/turn"  # which cannot be locked
        return UploadLock(Path(name), patience=chosen.stall_timeout, listener=listener)

    return CopyQueue(chosen.host, order.local, open_with, make_turn)


def result(order: CopyRequest, done: CopyResult) -> Result:
    """The result of an order that was carried out."""
    data = describe_copy(order.settings.host, done)
    if order.manifest is None:
        return Result("copy", data)
    manifest = Manifest(
        host=order.settings.host,
        workspace=str(order.settings.workspace),
        package=order.settings.package,
        time=int(time.time()),
        roots=list(done.roots),
        paths=[info.path for info in done.closure],
    )
    key: Optional[bytes] = None
    # Without one, `ensure` says why it cannot use the manifest.
    with suppress(private_key.KeyUnusable):
        key = private_key.own_key(private_key.homes(order.settings.environment))
    return Result("copy", data, files={str(order.manifest): manifests.as_text(manifest, key)})


def _user(environment: Mapping[str, str]) -> str:
    """As `getpass.getuser` has it, by that environment."""
    named = (environment.get(name) for name in _USER_VARIABLES)
    return next(filter(None, named), None) or pwd.getpwuid(os.getuid()).pw_name
