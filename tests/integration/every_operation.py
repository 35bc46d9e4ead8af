"""Runs every operation of a `RemoteStore`, and after each a query with a known answer.

Runs on a workstation: `every_operation.py ALIAS STORE-PATH...`, a closure in
dependency order. Prints the operations. A desynchronised session answers the
query wrongly, or not at all.
"""

from __future__ import annotations

import json
import sys
from typing import Iterator, Sequence

from nix_remote import events, settings
from nix_remote.errors import NixRemoteError
from nix_remote.local.store import LocalStore
from nix_remote.server import connect
from nix_remote.server.stores.base import DurableRoot, Outgoing, Question, RemoteStore
from nix_remote.store.paths import PathInfo, StorePath


def main(alias: str, paths: Sequence[str]) -> None:
    """Raises `AssertionError` if an answer is wrong."""
    chosen = settings.choose(host=alias)
    local = LocalStore(chosen.local_store)
    closure = local.closure([StorePath(path) for path in paths])
    done = []
    with connect.open_store(chosen, events.ignore) as remote:
        for name in perform(remote, local, closure):
            done.append(name)
            if remote.ended:
                break
    with connect.open_store(chosen, events.ignore) as remote:
        # A refusal ends a session of the serve protocol: the rest has a new one.
        done += perform_last(remote, closure)
    print(json.dumps(done))


def perform(remote: RemoteStore, local: LocalStore, closure: list[PathInfo]) -> Iterator[str]:
    """One operation after the other; after each, a query of valid paths with a known answer."""
    top = closure[-1]
    others = frozenset(info.path for info in closure[:-1])
    everything = others | {top.path}

    def check(expected: frozenset[StorePath]) -> None:
        question = Question(tuple(sorted(everything)), lock=(top.path,))
        assert remote.ask(question) & {top.path} == expected & {top.path}

    check(frozenset())
    yield "ask"
    remote.lock(sorted(others))
    check(frozenset())
    yield "lock"
    assert top.path not in remote.registered(sorted(everything))
    check(frozenset())
    yield "registered"
    remote.substitute([top.path], at_most=10)
    check(frozenset())
    yield "substitute"
    remote.push([Outgoing(info, local.nar(info)) for info in closure])
    check(everything)
    assert remote.registered([top.path])[top.path].nar_hash == top.nar_hash
    yield "push"
    remote.push([Outgoing(top, local.nar(top))])
    check(everything)
    yield "push again"
    wrong = PathInfo(
        StorePath(top.path + "-wrong"), closure[0].nar_hash, top.nar_size, top.references
    )
    refusal = refused(remote, Outgoing(wrong, local.nar(top)))
    assert refusal == "path-content-changed", refusal
    if not remote.ended:
        check(everything)
    yield "push refused"


def refused(remote: RemoteStore, outgoing: Outgoing) -> str:
    """Pushes a path that the server must not take; returns the code of its refusal."""
    try:
        remote.push([outgoing])
    except NixRemoteError as error:
        return error.code
    return "nothing was refused"


def perform_last(remote: RemoteStore, closure: list[PathInfo]) -> list[str]:
    """The operations that keep the closure."""
    paths = tuple(info.path for info in closure)
    assert remote.ask(Question(paths, lock=paths)) == frozenset(paths)
    root = DurableRoot(closure[-1].path, ".local/state/nix-remote/gcroots/test/every/operation")
    assert remote.secure(paths, [root]).valid == frozenset(paths)
    assert remote.ask(Question(paths)) == frozenset(paths)
    return ["secure"]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
