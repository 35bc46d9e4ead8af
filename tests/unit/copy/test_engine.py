"""The engine between a local store of files and a server that loses paths at bad moments."""

from pathlib import Path
from typing import Iterable, Iterator, Sequence

import pytest

from nix_remote import events
from nix_remote.copy.engine import ROUNDS, copy
from nix_remote.errors import ClosureNotKept, PathContentMissing, SignatureRequired
from nix_remote.local.store import LocalStore
from nix_remote.remote.store import DurableRoot, Outgoing, ReferenceVanished
from nix_remote.settings import LocalStoreSettings
from nix_remote.wire.types import PathInfo, StorePath
from tests.support.paths import info, path

CLOSURE = [info("glibc"), info("bash", "glibc"), info("hello", "bash")]
PATHS = [one.path for one in CLOSURE]
ROOT = DurableRoot(path("hello"), "roots/hello")


class Local(LocalStore):
    """Content without files; `absent` paths are registered but not there."""

    def __init__(self, absent: frozenset[StorePath] = frozenset()) -> None:
        super().__init__(LocalStoreSettings(state_directory=Path("/nonexistent")))
        self._absent = absent

    def check_present(self, infos: Sequence[PathInfo]) -> None:
        for one in infos:
            if one.path in self._absent:
                raise PathContentMissing(one.path, "gone")

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        yield info.path.encode()


class Remote:
    """What a server does, without one. `losses` are the paths lost in each round."""

    def __init__(self, valid: Iterable[StorePath] = (), losses: Iterable[StorePath] = ()) -> None:
        self.valid = set(valid)
        self.losses = list(losses)
        self.calls: list[str] = []
        self.sent: list[StorePath] = []
        self.vanish_while_pushing = 0

    def lock_and_query(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        self.calls.append("lock")
        return frozenset(self.valid.intersection(paths))

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        self.calls.append("check")

    def push(self, paths: Iterable[Outgoing]) -> None:
        self.calls.append("push")
        for outgoing in paths:
            if self.vanish_while_pushing:
                self.vanish_while_pushing -= 1
                raise ReferenceVanished("path is not valid")
            assert b"".join(outgoing.nar) == outgoing.info.path.encode()
            self.sent.append(outgoing.info.path)
            self.valid.add(outgoing.info.path)

    def secure(
        self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]
    ) -> frozenset[StorePath]:
        self.calls.append("secure")
        if self.losses:
            self.valid.discard(self.losses.pop(0))
        return frozenset(self.valid.intersection(paths))

    def close(self) -> None:
        pass


def run(remote: Remote, local: Local, listener: events.Listener = events.ignore) -> object:
    return copy(CLOSURE, [ROOT], alias="s", local=local, remote=remote, listener=listener)


def test_only_what_is_missing_is_sent_and_everything_is_secured() -> None:
    remote = Remote(valid=[path("glibc")])
    result = copy(CLOSURE, [ROOT], alias="s", local=Local(), remote=remote, listener=events.ignore)
    assert remote.calls == ["lock", "check", "push", "secure"]
    assert remote.sent == [path("bash"), path("hello")]
    assert result.sent == (path("bash"), path("hello"))
    assert result.sent_bytes == CLOSURE[1].nar_size + CLOSURE[2].nar_size
    assert result.closure == tuple(CLOSURE)
    assert result.roots == {path("hello"): "roots/hello"}


def test_nothing_missing_is_secured_all_the_same() -> None:
    remote = Remote(valid=PATHS)
    run(remote, Local())
    assert remote.sent == []
    assert "secure" in remote.calls


def test_a_path_that_is_lost_before_it_is_secured_is_sent_again() -> None:
    remote = Remote(valid=PATHS, losses=[path("glibc"), path("bash")])
    run(remote, Local())
    assert remote.sent == [path("glibc"), path("bash")]
    assert remote.valid == set(PATHS)


def test_a_reference_that_vanishes_while_sending_starts_another_round() -> None:
    remote = Remote()
    remote.vanish_while_pushing = 1
    run(remote, Local())
    assert remote.calls.count("lock") == 2
    assert remote.valid == set(PATHS)


def test_a_server_that_keeps_losing_paths_is_given_up() -> None:
    remote = Remote(valid=PATHS, losses=[path("glibc")] * 100)
    with pytest.raises(ClosureNotKept, match="glibc"):
        run(remote, Local())
    assert remote.calls.count("secure") == ROUNDS


def test_missing_content_is_noticed_before_anything_is_sent() -> None:
    remote = Remote(valid=[path("glibc")])
    with pytest.raises(PathContentMissing):
        run(remote, Local(absent=frozenset({path("hello")})))
    assert remote.calls == ["lock"]


def test_content_that_is_missing_here_but_valid_there_does_not_matter() -> None:
    run(Remote(valid=[path("glibc")]), Local(absent=frozenset({path("glibc")})))


def test_what_the_server_would_refuse_is_not_sent() -> None:
    remote = Remote()

    def refuse(infos: Sequence[PathInfo]) -> None:
        raise SignatureRequired("s", "me", infos[0].path)

    remote.check_acceptable = refuse  # type: ignore[method-assign]
    with pytest.raises(SignatureRequired):
        run(remote, Local())
    assert remote.sent == []


def test_the_plan_is_announced() -> None:
    seen: list[events.Event] = []
    run(Remote(valid=[path("glibc")]), Local(), seen.append)
    (plan,) = [event.plan for event in seen if isinstance(event, events.PlanReady)]
    assert [one.path for one in plan.missing] == [path("bash"), path("hello")]
