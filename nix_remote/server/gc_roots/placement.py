"""Chooses the folder for the durable roots of a session.

Pure: callers report the result of making roots in one folder, and get the next one. A folder
counts when the server's collector counts a root that was made in it during this session. Folders
are tried in the order of `candidate_locations`; the first that counts is used for the rest of the
session.

Does not belong here: making roots and listing them (the stores).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import AbstractSet, Collection, Final, Iterable, Optional

from nix_remote.errors import PromiseError, RootNotCounted, RootRefused
from nix_remote.protocol.worker import RootLink
from nix_remote.server.gc_roots.names import candidate_locations
from nix_remote.server.stores.base import DurableRoot

# A session whose home folder is unknown has one of these working folders, or one below them, only
# if its login shell has changed the folder.
_NO_HOME: Final = frozenset(
    map(PurePosixPath, ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp"))
)


class RootPlacement:
    """The folder for the durable roots of one session."""

    def __init__(self, alias: str, account: str, home: Optional[str]) -> None:
        self._alias = alias
        self._account = account
        self._home = home
        self._candidate, self._last = 0, len(candidate_locations(account, home, "")) - 1
        self._failure: Optional[PromiseError] = None
        self._made_again = False
        self.counts = False
        """Whether the server has counted a root in the current folder."""

    def located(self, roots: Iterable[DurableRoot]) -> list[DurableRoot]:
        """The roots in the current folder; relative if the home folder is not known."""
        return [
            DurableRoot(
                root.path,
                candidate_locations(self._account, self._home, root.location)[self._candidate],
            )
            for root in roots
        ]

    def accepts(self, root: DurableRoot, location: str) -> bool:
        """Whether `location`, absolute, is correct for that root; if not, does as `failed`."""
        if location == root.location or _is_in_a_home(root.location, location):
            return True
        why = f"the server made it at {location}, which is not in the account's home folder"
        self.failed(RootRefused(self._alias, root.location, why))
        return False

    def count(self, made: Collection[DurableRoot], counted: AbstractSet[RootLink]) -> bool:
        """Whether the server counts all roots that were made; if not, does as `failed`.

        Once in each folder, the roots are made again instead, because a removal of old roots may
        hold one of them at this moment.
        """
        for root in made:
            if (root.location, root.path) not in counted:
                if not self._made_again:
                    self._made_again = True
                    return False
                self.failed(RootNotCounted(self._alias, self._account, root.location))
                return False
        self.counts = self.counts or bool(made)
        return True

    def failed(self, failure: PromiseError) -> None:
        """Continues with the next folder, because the current one cannot be used.

        Raises the failure of the first folder if there is no further one.
        """
        self.counts = self._made_again = False
        first = self._failure or failure
        if self._candidate == self._last:
            self._candidate, self._failure = 0, None
            raise first
        self._candidate, self._failure = self._candidate + 1, first


def _is_in_a_home(relative: str, location: str) -> bool:
    """Whether `location` is the relative location below a folder that can be a home folder."""
    folder = PurePosixPath(location.removesuffix(relative))
    return (
        location.endswith(f"/{relative}")
        and folder != PurePosixPath("/")
        and _NO_HOME.isdisjoint((folder, *folder.parents))
    )
