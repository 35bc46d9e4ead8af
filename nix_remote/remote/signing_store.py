"""A server's store to which every path goes with a signature of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping, Sequence

from nix_remote.local.signing import SigningKey
from nix_remote.remote.store import DurableRoot, Outgoing, Question, RemoteStore
from nix_remote.wire.types import PathInfo, StorePath


class SigningStore:
    """A `RemoteStore` that signs what is sent through it. Only that: a signature costs time."""

    def __init__(self, store: RemoteStore, key: SigningKey) -> None:
        self._store = store
        self._key = key

    @property
    def ended(self) -> bool:
        return self._store.ended

    def ask(self, question: Question) -> frozenset[StorePath]:
        return self._store.ask(question)

    def lock(self, paths: Sequence[StorePath]) -> None:
        self._store.lock(paths)

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        self._store.check_acceptable([self._key.sign(info) for info in infos])

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        return self._store.registered(paths)

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None:
        self._store.substitute(paths, at_most=at_most)

    def push(self, paths: Sequence[Outgoing]) -> None:
        self._store.push([replace(one, info=self._key.sign(one.info)) for one in paths])

    def secure(
        self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]
    ) -> frozenset[StorePath]:
        return self._store.secure(paths, roots)
