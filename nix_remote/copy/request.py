"""What a copy is asked to do: which paths, from which store, to which server, kept for whom.

Does not belong here: how a command line says it (`cli/copy_options.py`), and what is
done about it (`engine.py`).
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
from nix_remote.server.gc_roots.names import Owner, location
from nix_remote.server.stores.base import DurableRoot
from nix_remote.ssh.config import host_config
from nix_remote.store.paths import PathInfo, StorePath


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
        """Where the host's name leads, resolved once per request. Raises `SshConfigError`."""
        local = host_config.this_user(self.settings.environment)
        return host_config.resolve(self.settings.host, self.settings.ssh_config, local)

    def closure(self) -> Sequence[PathInfo]:
        """Everything the top paths need. Raises `LocalStoreError`."""
        return self.local.closure(self.tops)


def durable_roots(chosen: settings.Settings, tops: Sequence[StorePath]) -> list[DurableRoot]:
    """The durable roots for top paths: where they are follows from workspace and package."""
    whose = owner(chosen.environment, chosen.workspace)
    return [DurableRoot(top, location(whose, chosen.package, top)) for top in tops]


def owner(environment: Mapping[str, str], workspace: PurePath) -> Owner:
    """For whom a copy keeps paths: this user's workspace on this machine."""
    return Owner(platform.node(), settings.user_name(environment), workspace)
