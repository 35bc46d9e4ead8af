"""Durable garbage-collector roots on the server: their names, and what is known of them.

Pure: values only; `nix_remote.remote.roots` reads and removes them.

    .local/state/nix-remote/gcroots / WORKSPACE-DIGEST / PACKAGE / STORE-PATH-NAME

below the home folder of the account. Workspace and package are there for
people; the digest tells workspaces of the same name apart. A path that is
copied again gets its link anew, so that the link's time is that of last use.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Optional

from nix_remote.wire.types import StorePath, base_name, package_name

FOLDER: Final = ".local/state/nix-remote/gcroots"

_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST: Final = 64


@dataclass(frozen=True)
class Root:
    """A durable root."""

    workspace: str
    """The workspace's folder name and digest."""
    package: str
    path: StorePath
    last_used: int
    """Seconds since 1970, by the server's clock."""

    @property
    def location(self) -> str:
        """The link, relative to `FOLDER`."""
        return f"{self.workspace}/{self.package}/{base_name(self.path)}"


@dataclass(frozen=True)
class Roots:
    """What the server has, and what time it is there."""

    now: int
    """Seconds since 1970, by the server's clock."""
    roots: tuple[Root, ...]
    """Sorted by workspace, package and path."""


@dataclass(frozen=True)
class Owner:
    """For whom paths are kept."""

    machine: str
    """The name of the machine the copy is made from."""
    user: str
    workspace: PurePath

    @property
    def folder(self) -> str:
        """The part of a location that belongs to this owner."""
        identity = f"{self.machine}\0{self.user}\0{self.workspace}"
        digest = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:8]
        return f"{_readable(self.workspace.name)}-{digest}"


def location(owner: Owner, package: Optional[str], path: StorePath) -> str:
    """Where the root of a top path goes, relative to the account's home folder."""
    package_folder = _readable(package if package is not None else package_name(path))
    return "/".join((FOLDER, owner.folder, package_folder, base_name(path)))


def _readable(name: str) -> str:
    """A name as one path component: no separators, never hidden, never empty."""
    return _UNUSUAL.sub("-", name).lstrip(".-")[:_LONGEST] or "root"
