"""A `RemoteStore` that forwards every call to another store.

The base class of stores that add one thing. They override only the methods that they change.

Pure.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from nix_remote.server.stores.base import (
    Damage,
    DurableRoot,
    Outgoing,
    Question,
    RemoteStore,
    Secured,
)
from nix_remote.store.paths import PathInfo, StorePath


class ForwardingStore:
    """Forwards every call to another store."""

    def __init__(self, store: RemoteStore) -> None:
        self._store = store

    @property
    def ended(self) -> bool:
        return self._store.ended

    def ask(self, question: Question) -> frozenset[StorePath]:
        return self._store.ask(question)

    def lock(self, paths: Sequence[StorePath]) -> None:
        self._store.lock(paths)

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        self._store.check_acceptable(infos)

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        return self._store.registered(paths)

    def absent(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        return self._store.absent(paths)

    def damaged(self, infos: Sequence[PathInfo]) -> Mapping[StorePath, Damage]:
        return self._store.damaged(infos)

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None:
        self._store.substitute(paths, at_most=at_most)

    def push(self, paths: Sequence[Outgoing]) -> None:
        self._store.push(paths)

    def secure(self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]) -> Secured:
        return self._store.secure(paths, roots)

    def renew(self, roots: Sequence[DurableRoot]) -> None:
        self._store.renew(roots)
