"""Closures: everything a path needs, in an order in which it can be registered.

Sans-IO: path infos in, path infos out.
"""

from __future__ import annotations

from typing import Container, Iterable, Mapping, Sequence

from nix_remote.store.paths import PathInfo, StorePath


def frontier(closure: Sequence[PathInfo], valid: Container[StorePath]) -> list[StorePath]:
    """Of the valid paths of a closure those that no other valid path needs.

    What keeps these keeps all that are valid.
    """
    there = [info for info in closure if info.path in valid]
    needed = {path for info in there for path in info.references if path != info.path}
    return [info.path for info in there if info.path not in needed]


def in_dependency_order(
    infos: Mapping[StorePath, PathInfo], roots: Iterable[StorePath]
) -> list[PathInfo]:
    """The closure of `roots`, every path after all that it refers to.

    A store registers a path only when its references are valid. The order
    depends on nothing but the arguments. Raises `KeyError` for a path that
    has no info, `ValueError` for a cycle (which no store has).
    """
    ordered: dict[StorePath, PathInfo] = {}
    on_the_way: set[StorePath] = set()
    stack: list[tuple[StorePath, list[StorePath]]] = []

    def enter(path: StorePath) -> None:
        on_the_way.add(path)
        stack.append((path, sorted(infos[path].references, reverse=True)))

    for root in roots:
        if root not in ordered:
            enter(root)
        while stack:
            path, remaining = stack[-1]
            if not remaining:
                stack.pop()
                on_the_way.remove(path)
                ordered[path] = infos[path]
                continue
            reference = remaining.pop()
            if reference in ordered or reference == path:
                continue
            if reference in on_the_way:
                raise ValueError(f"{path} and {reference} refer to each other")
            enter(reference)
    return list(ordered.values())
