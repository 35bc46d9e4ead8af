"""Closures, in an order in which a store can register them.

Sans-IO: path infos in, path infos out.
"""

from __future__ import annotations

from typing import Container, Iterable, Mapping, Sequence

from nix_remote.store.paths import PathInfo, StorePath


def frontier(closure: Sequence[PathInfo], valid: Container[StorePath]) -> list[StorePath]:
    """The valid paths of a closure to which no other valid path refers.

    Roots of these paths keep all valid paths of the closure.
    """
    infos = [info for info in closure if info.path in valid]
    referenced = {path for info in infos for path in info.references if path != info.path}
    return [info.path for info in infos if info.path not in referenced]


def in_dependency_order(
    infos: Mapping[StorePath, PathInfo], roots: Iterable[StorePath]
) -> list[PathInfo]:
    """The closure of `roots`, every path after its references.

    A store registers a path only when its references are valid. The order depends only on the
    arguments. Raises `KeyError` for a path without info, `ValueError` for a cycle (which no store
    has).
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
