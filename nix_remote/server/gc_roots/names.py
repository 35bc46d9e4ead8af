"""Durable garbage-collector roots on the server: their names and attributes.

Pure: values only; `nix_remote.server.gc_roots.listing` lists and removes roots.

    FOLDER / WORKSPACE-DIGEST / PACKAGE / STORE-PATH-NAME

FOLDER is one of the folders for roots on the server. Workspace and package make the name readable;
the digest distinguishes workspaces of the same name. When a path is copied again, its link is
replaced, so that the link's time is that of last use.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import PurePath, PurePosixPath
from typing import Final, Optional

from nix_remote.store.paths import StorePath, base_name, package_name

FOLDER: Final = ".local/state/nix-remote/gcroots"
"""Below the account's home folder: the folder that is tried first."""

GCROOTS: Final = "/nix/var/nix/gcroots"
"""The folder where every collector starts: a link below it is a root without registration."""

# For a shell script: sets `home` to the account's home folder according to passwd. The variable
# HOME may have been set to another folder. No single quotes, for every login shell.
SET_HOME: Final = (
    'me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME};'
    ' cd "$home" 2>/dev/null && home=$(pwd -P);'
)

# For a shell script: sets the positional parameters to the folders that can contain durable roots
# of the account, whether they exist or not, each once.
SET_ROOT_FOLDERS: Final = (
    f'{SET_HOME} set -- "${{home%/}}/{FOLDER}"'
    f' "{GCROOTS}/nix-remote/$me" "{GCROOTS}/per-user/$me/nix-remote";'
    ' [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] ||'
    f' set -- "$@" "${{HOME%/}}/{FOLDER}";'
)

_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST: Final = 64
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")


@dataclass(frozen=True)
class Root:
    """A durable root."""

    workspace: str
    """The workspace's folder name and digest."""
    package: str
    path: StorePath
    last_used: int
    """Seconds since 1970, by the server's clock."""
    folder_number: int = 1
    """The number of the folder that contains the root, from 1, as in `SET_ROOT_FOLDERS`."""
    record: str = field(default="", compare=False, repr=False)
    """The root as the server listed it. The removal removes only a root that is unchanged."""

    @property
    def location(self) -> str:
        """The link, relative to its folder for roots."""
        return f"{self.workspace}/{self.package}/{base_name(self.path)}"


@dataclass(frozen=True)
class Roots:
    """The roots on the server, and the server's time."""

    now: int
    """Seconds since 1970, by the server's clock."""
    roots: tuple[Root, ...]
    """Sorted by workspace, package and path."""
    others: int = 0
    """The number of links in the folders for roots that no copy has made."""


@dataclass(frozen=True)
class Owner:
    """The workspace that durable roots belong to."""

    machine: str
    """The name of the machine that copies."""
    user: str
    workspace: PurePath

    @property
    def folder(self) -> str:
        """The component of a location that identifies this owner."""
        identity = f"{self.machine}\0{self.user}\0{self.workspace}"
        digest = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:8]
        return f"{_readable(self.workspace.name)}-{digest}"


def candidate_locations(account: str, home: Optional[str], location: str) -> tuple[str, ...]:
    """The candidate locations of a root, the best first: `location` in each folder for roots.

    `location` is relative to the account's home folder. If that is not known, the first candidate
    is relative to the working folder of the session. `setup server` makes the second folder, Nix
    before 2.20 makes the parent of the third one; root can make all of them.
    """
    below_home = str(PurePosixPath(home or "", location))
    if not _ACCOUNT.fullmatch(account):
        return (below_home,)
    name = location.removeprefix(f"{FOLDER}/")
    return (
        below_home,
        f"{GCROOTS}/nix-remote/{account}/{name}",
        f"{GCROOTS}/per-user/{account}/nix-remote/{name}",
    )


def asked_location(location: str) -> str:
    """The requested location, relative to the home folder, of a root with that actual location."""
    return "/".join((FOLDER, *location.rsplit("/", 3)[1:]))


def location(owner: Owner, package: Optional[str], path: StorePath) -> str:
    """The location of the root of a top path, relative to the account's home folder."""
    package_folder = _readable(package if package is not None else package_name(path))
    return "/".join((FOLDER, owner.folder, package_folder, base_name(path)))


def _readable(name: str) -> str:
    """A name as one path component: without separators, not hidden, not empty."""
    return _UNUSUAL.sub("-", name).lstrip(".-")[:_LONGEST] or "root"
