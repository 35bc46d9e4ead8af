import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.store.closure import frontier, in_dependency_order
from nix_remote.store.paths import PathInfo, StorePath
from tests.support.paths import info, path


def by_path(*infos: PathInfo) -> dict[object, PathInfo]:
    return {one.path: one for one in infos}


def order(infos: dict, *roots: str) -> list[str]:  # type: ignore[type-arg]
    return [one.path for one in in_dependency_order(infos, [path(root) for root in roots])]


def test_references_come_first() -> None:
    infos = by_path(info("hello", "glibc", "bash"), info("bash", "glibc"), info("glibc"))
    found = order(infos, "hello")
    assert found == [path("glibc"), path("bash"), path("hello")]


def test_a_reference_to_itself_is_no_cycle() -> None:
    assert order(by_path(info("glibc", "glibc")), "glibc") == [path("glibc")]


def test_what_no_root_needs_is_left_out() -> None:
    assert order(by_path(info("a"), info("b")), "a") == [path("a")]


def test_several_roots_share_what_they_share() -> None:
    infos = by_path(info("a", "c"), info("b", "c"), info("c"))
    assert order(infos, "a", "b", "a") == [path("c"), path("a"), path("b")]


def test_a_cycle_is_an_error() -> None:
    with pytest.raises(ValueError, match="refer to each other"):
        order(by_path(info("a", "b"), info("b", "a")), "a")


def test_a_reference_without_info_is_an_error() -> None:
    with pytest.raises(KeyError):
        order(by_path(info("a", "b")), "a")


def test_a_chain_longer_than_the_recursion_limit_is_no_problem() -> None:
    chain = [info(f"p{n}", f"p{n + 1}") for n in range(5000)] + [info("p5000")]
    assert len(order(by_path(*chain), "p0")) == 5001


@given(st.data())
def test_every_order_can_be_registered_one_by_one(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    infos = {}
    for number in range(size):
        earlier = data.draw(st.sets(st.integers(0, number)))  # itself included
        one = info(f"p{number}", *(f"p{reference}" for reference in earlier))
        infos[one.path] = one
    roots = [path(f"p{n}") for n in data.draw(st.sets(st.integers(0, size - 1)))]
    registered: set[StorePath] = set()
    for one in in_dependency_order(infos, roots):
        assert registered | {one.path} >= set(one.references)
        assert one.path not in registered
        registered.add(one.path)
    assert registered >= set(roots)


def test_the_frontier_is_what_nothing_else_that_is_there_needs() -> None:
    closure = [info("glibc", "glibc"), info("bash", "glibc"), info("zlib"), info("hello", "bash")]
    assert frontier(closure, {path("glibc"), path("bash"), path("zlib")}) == [
        path("bash"),
        path("zlib"),
    ]
    assert frontier(closure, set()) == []


@given(st.sets(st.integers(0, 11)), st.data())
def test_what_the_frontier_needs_is_everything_that_is_there(
    roots: set[int], data: st.DataObject
) -> None:
    references = [
        data.draw(st.sets(st.integers(0, max(0, number - 1)), max_size=3)) - {number}
        for number in range(12)
    ]
    closure = [
        info(f"p{number}", *(f"p{each}" for each in references[number])) for number in range(12)
    ]
    infos = {one.path: one for one in closure}
    # What is valid on a server is closed: a path is there only with all it needs.
    valid = {one.path for one in in_dependency_order(infos, [path(f"p{root}") for root in roots])}
    kept = in_dependency_order(infos, frontier(closure, valid))
    assert {one.path for one in kept} == valid
