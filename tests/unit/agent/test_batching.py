"""Which jobs share a copy, which jobs a failure affects, and which roots are known."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nix_remote.agent.batching import (
    RENEWAL_INTERVAL,
    RENEWED_RECENTLY,
    Batching,
    Group,
    Job,
)
from nix_remote.copy.engine import Check, CopyOptions
from nix_remote.errors import ConnectionBroken, PathContentMissing
from nix_remote.server.gc_roots.retention import GRACE
from nix_remote.server.stores.base import DurableRoot
from nix_remote.store.paths import PathInfo
from tests.support.paths import info, path

GLIBC, BASH, HELLO = info("glibc"), info("bash", "glibc"), info("hello", "bash")
GCC = info("gcc", "glibc")
DEFAULTS = CopyOptions()
NOW = 1000.0
VALID_SINCE = 77.0
BROKEN = ConnectionBroken("s", "copying", "cut")
MISSING = PathContentMissing(path("gcc"), "gone")


def root(name: str, package: str = "") -> DurableRoot:
    return DurableRoot(path(name), f"roots/{package}{name}")


def add(batching: Batching, *closure: PathInfo, options: CopyOptions = DEFAULTS) -> Job:
    top = closure[-1].path
    return batching.add(closure, [DurableRoot(top, f"roots/{top}")], options)


def succeed(batching: Batching, group: Group, now: float) -> None:
    batching.succeeded(group, {root.path: VALID_SINCE for root in group.roots}, now)


def test_all_that_wait_are_one_copy_of_the_union_of_their_closures() -> None:
    batching = Batching()
    jobs = (add(batching, GLIBC, BASH, HELLO), add(batching, GLIBC, GCC))
    group = batching.take()
    assert group.jobs == jobs
    assert group.closure == (GLIBC, BASH, HELLO, GCC)
    assert group.roots == jobs[0].roots + jobs[1].roots
    assert batching.next_job is None


def test_jobs_with_different_options_are_not_one_copy() -> None:
    batching = Batching()
    first = add(batching, GLIBC)
    other = add(batching, GLIBC, GCC, options=CopyOptions(check=Check.CONTENTS))
    assert batching.take().jobs == (first,)
    assert batching.take().jobs == (other,)


def test_a_path_of_several_jobs_is_reported_as_sent_for_one() -> None:
    batching = Batching()
    first, second = add(batching, GLIBC, BASH), add(batching, GLIBC, GCC)
    sent = batching.take().attributed([GLIBC.path, BASH.path, GCC.path])
    assert sent == {first: [GLIBC.path, BASH.path], second: [GCC.path]}


def test_a_root_is_known_as_long_as_the_session_lives() -> None:
    batching = Batching()
    job = add(batching, GLIBC, BASH)
    assert not batching.is_known(job)
    succeed(batching, batching.take(), NOW)
    assert batching.is_known(job)
    assert batching.closure_of(job.roots) == (GLIBC, BASH)
    assert batching.valid_since(job.roots) == {BASH.path: VALID_SINCE}
    batching.session_ended()
    assert not batching.is_known(job)


def test_the_same_path_under_another_name_is_not_known() -> None:
    batching = Batching()
    add(batching, GLIBC, BASH)
    succeed(batching, batching.take(), NOW)
    assert not batching.is_known(Job((), (root("bash", "other-"),)))


def test_a_job_that_checks_contents_is_never_known() -> None:
    batching = Batching()
    job = add(batching, GLIBC, BASH)
    succeed(batching, batching.take(), NOW)
    assert not batching.is_known(Job((), job.roots, CopyOptions(check=Check.CONTENTS)))


def test_the_closure_of_one_of_several_paths_of_a_job_is_its_own() -> None:
    batching = Batching()
    roots = [DurableRoot(BASH.path, "roots/bash"), DurableRoot(GCC.path, "roots/gcc")]
    batching.add([GLIBC, BASH, GCC], roots, DEFAULTS)
    succeed(batching, batching.take(), NOW)
    assert batching.closure_of(roots[1:]) == (GLIBC, GCC)


def test_answered_jobs_are_confirmed_with_the_next_copy() -> None:
    batching = Batching()
    job = add(batching, GLIBC, BASH)
    succeed(batching, batching.take(), NOW)
    batching.session_ended()
    assert batching.has_unconfirmed
    add(batching, GLIBC, GCC)
    group = batching.take()
    assert group.reconfirmed == (job,)
    assert set(group.roots) > set(job.roots)
    succeed(batching, group, NOW)
    assert not batching.has_unconfirmed
    assert batching.is_known(job)


def test_a_connection_that_breaks_is_the_failure_of_all() -> None:
    batching = Batching()
    jobs = [add(batching, GLIBC, BASH), add(batching, GLIBC, GCC)]
    assert batching.failed(batching.take(), BROKEN) == jobs
    assert batching.next_job is None


def test_a_path_that_fails_fails_only_the_jobs_that_need_it() -> None:
    batching = Batching()
    good, bad = add(batching, GLIBC, BASH), add(batching, GLIBC, GCC)
    assert batching.failed(batching.take(), MISSING) == []
    alone = batching.take()
    assert alone.jobs == (good,)
    succeed(batching, alone, NOW)
    assert batching.failed(batching.take(), MISSING) == [bad]


def test_an_unconfirmed_job_that_fails_is_dropped_alone() -> None:
    batching = Batching()
    add(batching, GLIBC, GCC)
    kept = add(batching, GLIBC, BASH)
    succeed(batching, batching.take(), NOW)
    batching.session_ended()
    assert batching.failed(batching.take(), MISSING) == []
    assert batching.failed(batching.take(), MISSING) == []
    succeed(batching, batching.take(), NOW)
    assert not batching.has_unconfirmed
    assert batching.known == frozenset(kept.roots)


def test_a_withdrawn_job_is_not_begun() -> None:
    batching = Batching()
    job, other = add(batching, GLIBC), add(batching, GLIBC, BASH)
    assert batching.withdraw(job)
    assert batching.take().jobs == (other,)
    assert not batching.withdraw(other)


def test_a_root_in_constant_use_is_renewed_once_per_interval() -> None:
    batching = Batching()
    job = add(batching, GLIBC, BASH)
    succeed(batching, batching.take(), NOW)
    batching.mark_used(job.roots)
    assert batching.due_for_renewal(NOW + 1) == ()  # the copy was a moment ago
    assert batching.due_for_renewal(NOW + 6) == job.roots
    batching.mark_renewed(job.roots, NOW + 6)
    batching.mark_used(job.roots)
    assert batching.due_for_renewal(NOW + 6 + RENEWAL_INTERVAL - 1) == ()
    assert batching.due_for_renewal(NOW + 6 + RENEWAL_INTERVAL) == job.roots


def test_a_root_that_is_not_used_is_not_renewed() -> None:
    batching = Batching()
    job = add(batching, GLIBC, BASH)
    succeed(batching, batching.take(), NOW)
    assert batching.due_for_renewal(NOW + 1e6) == ()
    batching.mark_used(job.roots)
    batching.mark_renewed(job.roots, NOW + 1e6)
    assert batching.due_for_renewal(NOW + 2e6) == ()


def test_a_root_that_cannot_be_renewed_is_tried_again_after_longer_and_longer_delays() -> None:
    batching = Batching()
    job = add(batching, GLIBC, BASH)
    succeed(batching, batching.take(), NOW)
    batching.mark_used(job.roots)
    now, waits = NOW, []
    for _ in range(9):
        begun = now
        while not batching.due_for_renewal(now):
            now += 1
        waits.append(now - begun)
        batching.mark_not_renewed(job.roots, now)
    assert waits == sorted(waits)
    assert waits[-1] == 3600


def test_the_interval_is_well_below_the_grace_time() -> None:
    assert max(RENEWAL_INTERVAL, RENEWED_RECENTLY) <= GRACE / 4


NAMES = st.sampled_from(["a", "b", "c", "bad"])


class Server(RuleBasedStateMachine):
    """Jobs, copies that end in every way, and sessions that end; `bad` cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.batching = Batching()
        self.open: list[Job] = []
        self.running: list[Group] = []
        self.kept_in_session: set[DurableRoot] = set()
        self.answered: set[DurableRoot] = set()
        self.now = 0.0
        self.used_at: dict[DurableRoot, float] = {}
        """When a root was used and not made or renewed afterwards."""

    @rule(seconds=st.sampled_from([0.5, 10.0, 61.0, 4000.0, -50.0]))
    def time_passes(self, seconds: float) -> None:
        """A machine that is restored from a snapshot has a clock that was put back."""
        self.now += seconds

    @precondition(lambda self: self.batching.known and not self.running)
    @rule(data=st.data())
    def a_root_is_used_from_knowledge(self, data: st.DataObject) -> None:
        root = data.draw(st.sampled_from(sorted(self.batching.known, key=str)))
        self.batching.mark_used([root])
        self.used_at.setdefault(root, self.now)

    @precondition(lambda self: not self.running)
    @rule()
    def what_is_due_is_renewed(self) -> None:
        due = self.batching.due_for_renewal(self.now)
        lost = self.batching.unconfirmed_for(due)
        if lost.reconfirmed:
            self.running.append(lost)
            return
        self.batching.mark_renewed(due, self.now)
        for root in due:
            del self.used_at[root]
        assert not self.batching.due_for_renewal(self.now)

    @precondition(lambda self: not self.running)
    @rule()
    def it_cannot_be_renewed(self) -> None:
        due = self.batching.due_for_renewal(self.now)
        self.the_session_ends()
        self.batching.mark_not_renewed(due, self.now)

    @rule(name=NAMES, contents=st.booleans())
    def submit(self, name: str, contents: bool) -> None:
        options = CopyOptions(check=Check.CONTENTS) if contents else DEFAULTS
        self.open.append(self.batching.add([GLIBC, info(name, "glibc")], [root(name)], options))

    @precondition(lambda self: self.batching.waiting and not self.running)
    @rule()
    def a_copy_begins(self) -> None:
        promised = self.batching.next_job
        group = self.batching.take()
        assert promised in group.jobs or not group.jobs
        assert set(group.jobs) <= set(self.open)
        assert len({job.options for job in group.jobs}) <= 1
        self.running.append(group)

    @precondition(lambda self: self.running)
    @rule()
    def it_ends(self) -> None:
        group = self.running.pop()
        if any(one.path == path("bad") for one in group.roots):
            self.kept_in_session.clear()
            for job in self.batching.failed(group, MISSING):
                assert job.roots == (root("bad"),), "another job's failure"
                self.open.remove(job)
            if root("bad") not in self.batching._unconfirmed:
                self.used_at.pop(root("bad"), None)  # given up
        else:
            for made in group.roots:
                self.used_at.pop(made, None)
            succeed(self.batching, group, self.now)
            self.open = [job for job in self.open if job not in group.jobs]
            self.kept_in_session |= set(group.roots)
            self.answered |= {one for job in group.jobs for one in job.roots}

    @precondition(lambda self: self.running)
    @rule()
    def the_connection_breaks(self) -> None:
        group = self.running.pop()
        self.kept_in_session.clear()
        for job in self.batching.failed(group, BROKEN):
            self.open.remove(job)

    @precondition(lambda self: not self.running)
    @rule()
    def the_session_ends(self) -> None:
        self.batching.session_ended()
        self.kept_in_session.clear()

    @precondition(lambda self: self.open and not self.running)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.open))
        assert self.batching.withdraw(job)
        self.open.remove(job)

    @precondition(lambda self: not self.running)
    @rule()
    def those_who_are_known_are_answered(self) -> None:
        for job in self.batching.take_known():
            assert self.kept_in_session.issuperset(job.roots)
            self.open.remove(job)

    @invariant()
    def no_root_is_known_that_this_session_does_not_keep(self) -> None:
        assert self.batching.known <= self.kept_in_session

    @invariant()
    def what_was_answered_is_known_or_unconfirmed(self) -> None:
        unconfirmed = set(self.batching._unconfirmed)
        assert self.answered <= unconfirmed | self.batching.known

    @invariant()
    def every_use_reaches_the_server_within_the_interval(self) -> None:
        later = self.now + 2 * 3600
        assert set(self.batching.due_for_renewal(later)) == set(self.used_at)

    def teardown(self) -> None:
        """Everybody is answered in the end, whatever happened before."""
        for _ in range(3 * len(self.open) + 10):
            if not self.running:
                if not self.batching.waiting:
                    break
                self.a_copy_begins()
            self.it_ends()
        assert not self.open


TestServer = Server.TestCase
TestServer.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
