import pytest

from nix_remote.server.gc_roots.names import Root, Roots
from nix_remote.server.gc_roots.retention import Retention, matching_workspaces
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
        (Retention(workspaces=frozenset(["app-12345678"]), grace=11), (OLD,)),
        (Retention(older_than=0), ()),  # all were used within the hour
        (Retention(older_than=50, grace=0), (OLD, OTHER)),
        (Retention(older_than=100, grace=0), ()),  # exactly as old is not older
        (Retention(older_than=0, grace=0), (OLD, NEW, OTHER)),
        (Retention(workspaces=frozenset(["app"]), grace=0), ()),
        (Retention(workspaces=frozenset(["app-12345678"]), grace=0), (OLD, NEW)),
        (Retention(workspaces=frozenset(["my"])), ()),
        (Retention(older_than=50, workspaces=frozenset(["my-app-87654321"]), grace=0), (OTHER,)),
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


@pytest.mark.parametrize(
    ("name", "own", "workspaces"),
    [
        ("app", ["app-12345678"], {"app-12345678"}),
        # Nobody's that is known: it may be another's, even if it is the only one.
        ("app", ["app-00000000"], None),
        ("my-app", [], None),
        # Its full name says whose it is.
        ("app-87654321", [], {"app-87654321"}),
        ("nothing", ["nothing-12345678"], set()),
    ],
)
def test_the_name_of_a_workspace_means_that_of_this_user(
    name: str, own: list[str], workspaces: set[str] | None
) -> None:
    there = ["app-12345678", "app-87654321", "my-app-12345678"]
    assert matching_workspaces(name, there, own) == workspaces


@pytest.mark.parametrize(("grace", "apart"), [(0, 300), (3600, 3600), (86400, 86400)])
def test_clocks_may_differ_by_the_grace_time(grace: float, apart: int) -> None:
    assert Retention(grace=grace).clocks_apart == apart
