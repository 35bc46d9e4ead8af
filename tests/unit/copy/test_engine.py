"""The engine between a local store of files and a server that loses paths at bad moments."""

import itertools
from contextlib import contextmanager
from pathlib import Path
from typing import Iterable, Iterator, Mapping, Optional, Sequence

import pytest

from nix_remote import events
from nix_remote.copy.engine import ROUNDS, Check, Copy, CopyOptions, CopyResult
from nix_remote.copy.retry import RetryPolicy
from nix_remote.errors import (
    ClosureNotKept,
    ConnectionBroken,
    ContentDamaged,
    ContentDiffers,
    NixRemoteError,
    PathContentChanged,
    PathContentMissing,
    SignatureRequired,
)
from nix_remote.local.store import LocalStore
from nix_remote.server.nix_errors import ReferenceVanished
from nix_remote.server.stores.base import (
    Damage,
    DurableRoot,
    Outgoing,
    Question,
    RemoteStore,
    Secured,
)
from nix_remote.settings import LocalStoreSettings
from nix_remote.store.paths import PathInfo, StorePath
from nix_remote.store.plan import DAMAGES, Reason
from tests.support.paths import info, path

CLOSURE = [info("glibc"), info("bash", "glibc"), info("hello", "bash")]
PATHS = [one.path for one in CLOSURE]
ROOT = DurableRoot(path("hello"), "roots/hello")
QUESTION = Question(tuple(PATHS), lock=(path("hello"),))
DEFAULTS = CopyOptions()


class Local(LocalStore):
    """Content without files; `absent` paths do not exist, `changed` ones have another hash."""

    def __init__(self, absent: frozenset[StorePath], changed: frozenset[StorePath]) -> None:
        super().__init__(LocalStoreSettings(state_directory=Path("/nonexistent")))
        self._absent, self._changed = absent, changed

    def check_present(self, infos: Sequence[PathInfo]) -> None:
        for one in infos:
            if one.path in self._absent:
                raise PathContentMissing(one.path, "gone")

    def check_content(self, infos: Sequence[PathInfo]) -> None:
        for one in infos:
            if one.path in self._changed:
                raise PathContentChanged(one.path, "other bytes")

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        yield info.path.encode()


class Remote:
    """What a server does, without one. `losses` are the paths lost in each round."""

    def __init__(self, valid: Iterable[StorePath] = (), losses: Iterable[StorePath] = ()) -> None:
        self.valid = set(valid)
        self.losses = list(losses)
        self.there = {one.path: one for one in CLOSURE}
        self.calls: list[str] = []
        self.sent: list[StorePath] = []
        self.locked: list[StorePath] = []
        self.sessions = 0
        self.failures: list[NixRemoteError] = []
        self.vanish_while_pushing = 0
        self.vanishing_ends_session = False
        self.ended = False
        self.damage: dict[StorePath, Damage] = {}
        self.replaced: list[StorePath] = []
        self.since: dict[StorePath, float] = {}
        self.clock = itertools.count(1000)

    @contextmanager
    def open(self, first: Question) -> Iterator[RemoteStore]:
        assert first == QUESTION
        self.sessions += 1
        self.ended = False
        yield self
        self.ended = True

    def ask(self, question: Question) -> frozenset[StorePath]:
        assert question == QUESTION
        self.calls.append("ask")
        return frozenset(self.valid.intersection(question.paths))

    def lock(self, paths: Sequence[StorePath]) -> None:
        self.locked = list(paths)

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        self.calls.append("check")

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        self.calls.append("registered")
        return {path: self.there[path] for path in paths}

    def absent(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        self.calls.append("gone")
        absent = {path for path, damage in self.damage.items() if damage is Damage.ABSENT}
        return frozenset(absent.intersection(paths))

    def damaged(self, infos: Sequence[PathInfo]) -> Mapping[StorePath, Damage]:
        self.calls.append("damaged")
        asked = {one.path for one in infos}
        return {path: damage for path, damage in self.damage.items() if path in asked}

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None:
        self.calls.append(f"substitute {len(paths)} in {at_most:g} s")
        self.valid.add(paths[0])

    def push(self, paths: Sequence[Outgoing]) -> None:
        self.calls.append("push")
        for outgoing in paths:
            if self.vanish_while_pushing:
                self.vanish_while_pushing -= 1
                self.ended = self.vanishing_ends_session
                raise ReferenceVanished("path is not valid")
            assert b"".join(outgoing.nar) == outgoing.info.path.encode()
            self.sent.append(outgoing.info.path)
            if outgoing.replace:
                self.replaced.append(outgoing.info.path)
                self.damage.pop(outgoing.info.path, None)
            self.valid.add(outgoing.info.path)
            if self.failures:
                raise self.failures.pop(0)

    def renew(self, roots: Sequence[DurableRoot]) -> None: ...

    def secure(self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]) -> Secured:
        self.calls.append("secure")
        if self.losses:
            self.valid.discard(self.losses.pop(0))
        return Secured(frozenset(self.valid.intersection(paths)), self.since)


def run(
    remote: Remote,
    *,
    absent: frozenset[StorePath] = frozenset(),
    changed: frozenset[StorePath] = frozenset(),
    listener: events.Listener = events.ignore,
    options: CopyOptions = DEFAULTS,
    slept: Optional[list[float]] = None,
) -> CopyResult:
    return Copy(
        closure=CLOSURE,
        roots=[ROOT],
        alias="s",
        local=Local(absent, changed),
        open_remote=remote.open,
        listener=listener,
        options=options,
        sleep=(slept if slept is not None else []).append,
        now=lambda: float(next(remote.clock)),
    ).run()


def test_only_what_is_missing_is_sent_and_everything_is_secured() -> None:
    remote = Remote(valid=[path("glibc")])
    result = run(remote)
    assert remote.calls == ["ask", "check", "push", "secure"]
    assert remote.locked == [path("glibc")]
    assert remote.sent == [path("bash"), path("hello")]
    assert result.sent == (path("bash"), path("hello"))
    assert result.sent_bytes == CLOSURE[1].nar_size + CLOSURE[2].nar_size
    assert result.closure == tuple(CLOSURE)
    assert result.roots == {path("hello"): "roots/hello"}


def test_nothing_missing_is_secured_all_the_same() -> None:
    remote = Remote(valid=PATHS)
    run(remote)
    assert remote.sent == []
    assert "secure" in remote.calls


def test_a_path_that_is_lost_before_it_is_secured_is_sent_again() -> None:
    remote = Remote(valid=PATHS, losses=[path("glibc"), path("bash")])
    run(remote)
    assert remote.sent == [path("glibc"), path("bash")]
    assert remote.valid == set(PATHS)
    assert remote.sessions == 1


def test_a_reference_that_vanishes_while_sending_starts_another_round() -> None:
    remote = Remote()
    remote.vanish_while_pushing = 1
    run(remote)
    assert remote.calls.count("ask") == 2
    assert remote.valid == set(PATHS)
    assert remote.sessions == 1


def test_where_that_ends_the_session_the_next_round_has_a_new_one() -> None:
    remote = Remote()
    remote.vanish_while_pushing = 2
    remote.vanishing_ends_session = True
    run(remote)
    assert remote.sessions == 3
    assert remote.valid == set(PATHS)


def test_a_server_that_keeps_losing_paths_is_given_up() -> None:
    remote = Remote(valid=PATHS, losses=[path("glibc")] * 100)
    with pytest.raises(ClosureNotKept, match="glibc"):
        run(remote)
    assert remote.calls.count("secure") == ROUNDS


@pytest.mark.parametrize("ends", [True, False])
def test_a_server_whose_references_keep_vanishing_is_given_up(ends: bool) -> None:
    remote = Remote()
    remote.vanish_while_pushing = 100
    remote.vanishing_ends_session = ends
    with pytest.raises(ClosureNotKept):
        run(remote)
    assert remote.calls.count("push") == ROUNDS


def test_a_connection_that_breaks_is_made_again_and_what_arrived_is_not_sent_twice() -> None:
    remote = Remote()
    remote.failures = [ConnectionBroken("s", "copying", "reset")]
    seen: list[events.Event] = []
    slept: list[float] = []
    result = run(remote, listener=seen.append, slept=slept)
    assert remote.sessions == 2
    assert remote.sent == PATHS
    assert set(result.sent) == set(PATHS)
    assert slept == [1.0]
    assert [e.seconds for e in seen if isinstance(e, events.Retrying)] == [1.0]


def test_a_connection_that_breaks_again_and_again_is_given_up() -> None:
    remote = Remote()
    remote.failures = [ConnectionBroken("s", "copying", "reset") for _ in range(10)]
    remote.valid = set()
    slept: list[float] = []
    options = CopyOptions(retry=RetryPolicy(retries=2, first_delay=3))
    with pytest.raises(ConnectionBroken):
        run(remote, options=options, slept=slept)
    assert slept == [3, 6]


def test_missing_content_is_noticed_before_anything_is_sent() -> None:
    remote = Remote(valid=[path("glibc")])
    with pytest.raises(PathContentMissing):
        run(remote, absent=frozenset({path("hello")}))
    assert remote.calls == ["ask"]


def test_content_that_is_missing_here_but_valid_there_does_not_matter() -> None:
    run(Remote(valid=[path("glibc")]), absent=frozenset({path("glibc")}))


def test_what_the_server_would_refuse_is_not_sent() -> None:
    remote = Remote()

    def refuse(infos: Sequence[PathInfo]) -> None:
        raise SignatureRequired("s", "me", infos[0].path, None, 0)

    remote.check_acceptable = refuse  # type: ignore[method-assign]
    with pytest.raises(SignatureRequired):
        run(remote)
    assert remote.sent == []


def test_the_plan_is_announced() -> None:
    seen: list[events.Event] = []
    run(Remote(valid=[path("glibc")]), listener=seen.append)
    (plan,) = [event.plan for event in seen if isinstance(event, events.PlanReady)]
    assert [one.path for one in plan.missing] == [path("bash"), path("hello")]


def test_the_server_may_look_in_its_own_caches_first_once() -> None:
    remote = Remote(valid=[path("glibc")], losses=[path("glibc")])
    run(remote, options=CopyOptions(substitute_seconds=5))
    assert remote.calls.count("substitute 2 in 5 s") == 1
    assert remote.sent == [path("hello"), path("glibc")]


def test_it_is_not_asked_to_when_nothing_is_missing() -> None:
    remote = Remote(valid=PATHS)
    run(remote, options=CopyOptions(substitute_seconds=5))
    assert not any(call.startswith("substitute") for call in remote.calls)


def test_other_content_under_the_same_name_is_only_looked_for_on_request() -> None:
    remote = Remote(valid=[path("glibc"), path("bash")])
    remote.there[path("bash")] = info("bash", "glibc", nar=b"built elsewhere")
    run(remote)
    assert "registered" not in remote.calls

    remote = Remote(valid=[path("glibc"), path("bash")])
    remote.there[path("bash")] = info("bash", "glibc", nar=b"built elsewhere")
    with pytest.raises(ContentDiffers, match="-bash") as caught:
        run(remote, options=CopyOptions(check=Check.CONTENTS))
    assert "not reproducible" in caught.value.why
    assert remote.sent == []


def test_equal_content_passes_the_check() -> None:
    remote = Remote(valid=[path("glibc"), path("bash")])
    run(remote, options=CopyOptions(check=Check.CONTENTS))
    assert remote.calls[:3] == ["ask", "damaged", "registered"]


def damaged_server() -> Remote:
    remote = Remote(valid=[path("glibc"), path("bash")])
    remote.damage = {path("glibc"): Damage.ABSENT, path("bash"): Damage.CHANGED}
    return remote


def test_damage_on_the_servers_disk_is_only_looked_for_on_request() -> None:
    remote = damaged_server()
    run(remote)
    assert remote.replaced == []
    assert not {"gone", "damaged"}.intersection(remote.calls)


@pytest.mark.parametrize("check", [Check.EXISTENCE, Check.CONTENTS])
def test_damage_that_is_not_to_be_mended_fails_with_the_command_that_mends_it(
    check: Check,
) -> None:
    remote = damaged_server()
    with pytest.raises(ContentDamaged) as caught:
        run(remote, options=CopyOptions(check=check))
    assert remote.sent == []
    assert f"{path('glibc')} is valid in the Nix database of s, but is not on its disk" in str(
        caught.value
    )
    assert f"nix-remote copy --repair --host s {path('glibc')}" in caught.value.fix


def test_what_is_gone_is_replaced_and_what_has_changed_is_not_unless_wanted() -> None:
    remote = damaged_server()
    run(remote, options=CopyOptions(check=Check.EXISTENCE, replaced=frozenset({Reason.ABSENT})))
    assert remote.replaced == [path("glibc")]
    assert remote.sent == [path("glibc"), path("hello")]
    assert "secure" in remote.calls
    with pytest.raises(ContentDamaged, match="has changed there"):
        run(remote, options=CopyOptions(check=Check.CONTENTS))
    run(remote, options=CopyOptions(check=Check.CONTENTS, replaced=DAMAGES))
    assert remote.replaced == [path("glibc"), path("bash")]


def test_other_content_is_replaced_on_request() -> None:
    remote = Remote(valid=[path("glibc"), path("bash")])
    remote.there[path("bash")] = info("bash", "glibc", nar=b"built elsewhere")
    run(remote, options=CopyOptions(check=Check.CONTENTS, replaced=DAMAGES))
    assert remote.replaced == [path("bash")]


def test_nothing_is_replaced_by_content_that_has_changed_here() -> None:
    remote = damaged_server()
    options = CopyOptions(check=Check.CONTENTS, replaced=DAMAGES)
    with pytest.raises(PathContentChanged):
        run(remote, changed=frozenset({path("bash")}), options=options)
    assert remote.sent == []


# The fake's clock advances by one second with each look: 1000 is when the first answer has arrived.


def test_what_was_sent_is_valid_since_the_end_of_sending() -> None:
    remote = Remote(valid=[path("glibc")])
    assert run(remote).valid_since == {path("hello"): 1001.0}


def test_what_another_copy_sent_is_valid_since_the_question_at_the_latest() -> None:
    assert run(Remote(valid=PATHS)).valid_since == {path("hello"): 1000.0}


def test_an_old_path_is_as_old_as_the_server_says() -> None:
    remote = Remote(valid=PATHS)
    remote.since = {path("hello"): 7.0}
    assert run(remote).valid_since == {path("hello"): 7.0}


def test_the_servers_times_do_not_make_a_path_newer_than_the_question() -> None:
    remote = Remote(valid=PATHS)
    remote.since = {path("hello"): 5000.0}
    assert run(remote).valid_since == {path("hello"): 1000.0}


def test_a_path_that_was_lost_and_sent_again_is_as_new_as_that() -> None:
    remote = Remote(valid=PATHS, losses=[path("hello")])
    remote.since = {path("hello"): 7.0}
    # Two questions, and the end of sending.
    assert run(remote).valid_since == {path("hello"): 1002.0}


def test_a_replaced_path_below_an_old_one_is_new() -> None:
    remote = Remote(valid=PATHS)
    remote.since = {path("hello"): 7.0}
    remote.damage = {path("glibc"): Damage.ABSENT}
    options = CopyOptions(check=Check.EXISTENCE, replaced=DAMAGES)
    assert run(remote, options=options).valid_since == {path("hello"): 1001.0}
