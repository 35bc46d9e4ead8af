"""A server's store that adds our signature to every path that is sent.

Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from nix_remote.local.signing import SigningKey
from nix_remote.server.stores.base import Outgoing, RemoteStore
from nix_remote.server.stores.forwarding import ForwardingStore
from nix_remote.store.paths import PathInfo


class SigningStore(ForwardingStore):
    """A `RemoteStore` that signs the paths that are sent, and no others: signing takes time."""

    def __init__(self, store: RemoteStore, key: SigningKey) -> None:
        super().__init__(store)
        self._key = key

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        super().check_acceptable([self._key.sign(info) for info in infos])

    def push(self, paths: Sequence[Outgoing]) -> None:
        super().push([replace(one, info=self._key.sign(one.info)) for one in paths])
