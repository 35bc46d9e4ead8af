import pytest

from nix_remote.remote.gc_roots import Root, Roots
from nix_remote.remote.retention import Retention
from tests.support.paths import path

NOW = 1_000_000
OLD = Root("app-12345678", "gcc", path("gcc"), NOW - 100)
NEW = Root("app-12345678", "hello", path("hello"), NOW - 10)
OTHER = Root("my-app-87654321", "gcc", path("gcc"), NOW - 100)
ROOTS = Roots(NOW, (OLD, NEW, OTHER))


@pytest.mark.parametrize(
    ("retention", "expired"),
    [
        (Retention(older_than=0, grace=11), (OLD, OTHER)),
        (Retention(workspace="app", grace=11), (OLD,)),
        (Retention(older_than=0), ()),  # all were used within the hour
        (Retention(older_than=50, grace=0), (OLD, OTHER)),
        (Retention(older_than=100, grace=0), ()),  # exactly as old is not older
        (Retention(older_than=0, grace=0), (OLD, NEW, OTHER)),
        (Retention(workspace="app", grace=0), (OLD, NEW)),
        (Retention(workspace="app-12345678", grace=0), (OLD, NEW)),
        (Retention(workspace="my"), ()),
        (Retention(older_than=50, workspace="my-app", grace=0), (OTHER,)),
        (Retention(grace=0), (OLD, NEW, OTHER)),
    ],
)
def test_roots_that_meet_every_condition_may_go(
    retention: Retention, expired: tuple[Root, ...]
) -> None:
    assert retention.expired(ROOTS) == expired


def test_a_clock_that_was_set_back_makes_nothing_old() -> None:
    future = Root("app-1", "p", path("p"), NOW + 500)
    assert Retention(older_than=50).expired(Roots(NOW, (future,))) == ()
