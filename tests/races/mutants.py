"""Copiers with a careless way to keep paths. They replace the last step of `WorkerStore`.

Each is a plausible simplification; the races show that it loses paths.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping

from nix_remote.protocol import worker
from nix_remote.server import nix_commands
from nix_remote.server.stores.base import Secured
from nix_remote.server.stores.worker import WorkerStore


def _roots(store: Any, roots: Any) -> None:
    for root in roots:
        if store._session.greeting().can_make_roots:
            request = worker.AddPermRoot(root.path, root.location)
            store._wait(store._session.submit(request), "a durable root")
        else:
            nix_commands.add_root(store._remote_exec, store._account.alias, root)


def _barrier(store: Any) -> None:
    store._wait(store._session.submit(worker.CollectGarbage()), "the collector")


def _look(store: Any, paths: Any) -> frozenset[Any]:
    request = worker.QueryValidPaths(tuple(paths))
    valid: frozenset[Any] = store._wait(store._session.submit(request), "which are valid")
    return valid


def without_barrier(store: Any, paths: Any, roots: Any) -> frozenset[Any]:
    _roots(store, roots)
    return _look(store, paths)


def without_roots(store: Any, paths: Any, roots: Any) -> frozenset[Any]:
    _barrier(store)
    return _look(store, paths)


def barrier_before_roots(store: Any, paths: Any, roots: Any) -> frozenset[Any]:
    _barrier(store)
    _roots(store, roots)
    return _look(store, paths)


def look_before_barrier(store: Any, paths: Any, roots: Any) -> frozenset[Any]:
    _roots(store, roots)
    valid = _look(store, paths)
    _barrier(store)
    return valid


def trusting_the_greeting(store: Any, paths: Any, roots: Any) -> frozenset[Any]:
    """As released before: no barrier from Nix 2.35 on; temporary roots taken again at the end."""
    greeted = re.match(r"(\d+)\.(\d+)", str(store._session.greeting().nix_version or "0.0"))
    assert greeted is not None
    if (int(greeted[1]), int(greeted[2])) < (2, 35):
        _barrier(store)
    valid = _look(store, paths)
    if len(valid) < len(set(paths)):
        return valid
    _roots(store, roots)
    tops = tuple(root.path for root in roots)
    store.lock(tops)
    store._wait_for_locks()
    return valid - (frozenset(tops) - _look(store, tops))


MUTANTS: Mapping[str, Callable[[Any, Any, Any], frozenset[Any]]] = {
    "without-barrier": without_barrier,
    "without-roots": without_roots,
    "barrier-before-roots": barrier_before_roots,
    "look-before-barrier": look_before_barrier,
    "trusting-the-greeting": trusting_the_greeting,
}


def install(name: str) -> None:
    """Replaces the copier of this process by a mutant; `none` keeps it."""
    if name != "none":
        careless = MUTANTS[name]

        def secure(store: Any, paths: Any, roots: Any) -> Secured:
            return Secured(careless(store, paths, roots))

        WorkerStore.secure = secure  # type: ignore[assignment,method-assign]
