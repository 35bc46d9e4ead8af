"""A copy request: paths, local store, server, options, and the owner of the durable roots.

Does not belong here: parsing command lines (`cli/copy_options.py`), copying (`engine.py`).
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Mapping, Optional, Sequence

from nix_remote import settings
from nix_remote.copy.engine import CopyOptions
from nix_remote.local.signing import SigningKey
from nix_remote.local.store import LocalStore
from nix_remote.server.connect import resolved_host
from nix_remote.server.gc_roots.names import Owner, location
from nix_remote.server.stores.base import DurableRoot
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.store.paths import PathInfo, StorePath


@dataclass(frozen=True)
class CopyRequest:
    """A copy request."""

    settings: settings.Settings
    signing_key: Optional[SigningKey]
    """None: paths are not signed."""
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
    def destination(self) -> HostConfig:
        """The resolved host, resolved once per request. Raises `SshConfigError`."""
        return resolved_host(self.settings)

    def closure(self) -> Sequence[PathInfo]:
        """The closure of the top paths. Raises `LocalStoreError`."""
        return self.local.closure(self.tops)


def durable_roots(chosen: settings.Settings, tops: Sequence[StorePath]) -> list[DurableRoot]:
    """The durable roots for top paths: their locations depend on workspace and package."""
    roots_owner = owner(chosen.environment, chosen.workspace)
    return [DurableRoot(top, location(roots_owner, chosen.package, top)) for top in tops]


def owner(environment: Mapping[str, str], workspace: PurePath) -> Owner:
    """The owner of a copy's durable roots: this user's workspace on this machine."""
    return Owner(platform.node(), settings.user_name(environment), workspace)
