from __future__ import annotations

import pytest

from nix_remote.errors import RootNotCounted
from nix_remote.server.gc_roots.placement import RootPlacement
from nix_remote.server.stores.base import DurableRoot
from tests.support.paths import path

ROOT = DurableRoot(path("hello"), ".local/state/nix-remote/gcroots/app-1/hello/name")


def test_a_root_that_a_removal_holds_is_made_again_in_its_place() -> None:
    placing = RootPlacement("server", "me", "/home/me")
    (root,) = placing.located([ROOT])
    assert not placing.count([root], frozenset())
    assert placing.located([ROOT]) == [root]
    assert placing.count([root], {(root.location, root.path)})
    assert placing.counts


def test_a_place_is_given_up_when_roots_in_it_are_not_counted_twice() -> None:
    placing = RootPlacement("server", "me", "/home/me")
    tried: list[str] = []

    def once() -> None:
        (root,) = placing.located([ROOT])
        tried.append(root.location)
        placing.count([root], frozenset())

    for _ in range(5):
        once()
    with pytest.raises(RootNotCounted):
        once()
    assert [tried.count(each) for each in dict.fromkeys(tried)] == [2, 2, 2]
