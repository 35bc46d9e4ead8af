"""In which place the durable roots of a session go.

Pure: what became of roots in one place goes in, the next place comes out. A
place counts when the server's collector sees a root that was made in it during
this session. Places are tried in the order of `gc_roots.places`; the one that
counts is kept for the rest of the session.

Does not belong here: making roots and asking the server for them (the stores).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import AbstractSet, Collection, Final, Iterable, Optional

from nix_remote.errors import PromiseError, RootNotCounted, RootRefused
from nix_remote.protocol.worker import RootLink
from nix_remote.server.gc_roots.names import candidate_locations
from nix_remote.server.stores.base import DurableRoot

# A session that cannot say which folder is the account's home runs in one of these, or below,
# only if its shell has changed the folder.
_NO_HOME: Final = frozenset(
    map(PurePosixPath, ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp"))
)


class RootPlacement:
    """The places for one session's durable roots."""

    def __init__(self, alias: str, account: str, home: Optional[str]) -> None:
        self._alias = alias
        self._account = account
        self._home = home
        self._place, self._last = 0, len(candidate_locations(account, home, "")) - 1
        self._failure: Optional[PromiseError] = None
        self._made_again = False
        self.counts = False
        """Whether the server has counted a root in the current place."""

    def located(self, roots: Iterable[DurableRoot]) -> list[DurableRoot]:
        """The roots in the current place; relative if the home folder is not known."""
        return [
            DurableRoot(
                root.path,
                candidate_locations(self._account, self._home, root.location)[self._place],
            )
            for root in roots
        ]

    def accepts(self, root: DurableRoot, location: str) -> bool:
        """Whether `location`, absolute, is where that root should be; if not, as `failed`."""
        if location == root.location or _is_in_a_home(root.location, location):
            return True
        why = f"the server made it at {location}, which is not in the account's home folder"
        self.failed(RootRefused(self._alias, root.location, why))
        return False

    def count(self, made: Collection[DurableRoot], counted: AbstractSet[RootLink]) -> bool:
        """Whether the server counts all that were made; if not, as `failed`.

        Once in each place they are to be made again there: a removal of old roots may
        hold one at this moment.
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
        """The current place cannot be used: the next one is current.

        Raises the failure of the first place if there is no further one.
        """
        self.counts = self._made_again = False
        first = self._failure or failure
        if self._place == self._last:
            self._place, self._failure = 0, None
            raise first
        self._place, self._failure = self._place + 1, first


def _is_in_a_home(relative: str, location: str) -> bool:
    """Whether a relative location became that one in a folder that can be a home folder."""
    folder = PurePosixPath(location.removesuffix(relative))
    return (
        location.endswith(f"/{relative}")
        and folder != PurePosixPath("/")
        and _NO_HOME.isdisjoint((folder, *folder.parents))
    )
