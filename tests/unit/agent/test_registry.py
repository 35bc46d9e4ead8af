"""Which sessions an agent keeps."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import Callable

import pytest

from nix_remote.agent import registry as kept
from nix_remote.agent.registry import MOST_LINES, QueueKey, QueueRegistry
from nix_remote.agent.server import Declined
from nix_remote.agent.threads import Threads


class Line:
    """A line that notes when it ends."""

    def __init__(self, name: str = "s") -> None:
        self.alias = name
        self.somebody_arrives: Callable[[], bool] = lambda: False
        self.at_work: Callable[[], bool] = lambda: True
        self.stopped = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()

    def work(self) -> None:
        self.stopped.wait(20)
        self.may_end.wait(20)

    def stop(self) -> None:
        self.stopped.set()

    def status(self) -> dict[str, object]:
        return {"host": self.alias}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> QueueRegistry:
    monkeypatch.setattr(kept, "REPLACED_AFTER", 0.0)
    return QueueRegistry(Threads(lambda _: None, lambda: None))


def use(lines: QueueRegistry, key: QueueKey, name: str = "s") -> Line:
    made = Line(name)
    with lines.line(key, lambda: made) as line:  # type: ignore[arg-type,return-value]
        return line  # type: ignore[return-value]


def test_one_key_is_one_line(lines: QueueRegistry) -> None:
    assert use(lines, QueueKey("s", 1)) is use(lines, QueueKey("s", 1))


def test_a_line_is_replaced_by_a_newer_one_to_the_same_host(lines: QueueRegistry) -> None:
    old = use(lines, QueueKey("s", "socket 1"))
    other = use(lines, QueueKey("t", "socket 1"))
    new = use(lines, QueueKey("s", "socket 2"))
    lines.close_replaced()
    assert old.stopped.is_set()
    assert not other.stopped.is_set()
    assert not new.stopped.is_set()
    assert len(lines.figures()) == 2


def test_a_line_is_not_replaced_while_a_request_uses_it(lines: QueueRegistry) -> None:
    old = Line()
    with lines.line(QueueKey("s", 1), lambda: old):  # type: ignore[arg-type,return-value]
        use(lines, QueueKey("s", 2))
        lines.close_replaced()
        assert not old.stopped.is_set()
    lines.close_replaced()
    assert old.stopped.is_set()


def test_two_that_are_used_by_turns_are_both_kept_for_a_while(
    lines: QueueRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "REPLACED_AFTER", 3600.0)
    first = use(lines, QueueKey("s", 1))
    use(lines, QueueKey("s", 2))
    lines.close_replaced()
    assert use(lines, QueueKey("s", 1)) is first


def test_of_too_many_the_one_that_was_used_least_recently_is_closed(lines: QueueRegistry) -> None:
    made = [use(lines, QueueKey(number, "")) for number in range(MOST_LINES)]
    use(lines, QueueKey(0, ""))
    use(lines, QueueKey("one more", ""))
    assert [line.stopped.is_set() for line in made] == [False, True] + [False] * (MOST_LINES - 2)


def test_a_hundred_keys_never_keep_more_than_the_bound(lines: QueueRegistry) -> None:
    for number in range(100):
        deadline = time.monotonic() + 10
        while True:
            try:
                use(lines, QueueKey("s", number), "hundred")
                break
            except Declined:  # as many are about to end: their threads need a moment
                assert time.monotonic() < deadline
                time.sleep(0.001)
        assert len(lines.figures()) <= MOST_LINES
        assert (
            sum(each.name == "nix-remote-hundred" for each in threading.enumerate())
            <= 2 * MOST_LINES
        )


def test_when_all_are_in_use_a_client_is_declined(lines: QueueRegistry) -> None:
    with ExitStack() as using:
        for number in range(MOST_LINES):
            using.enter_context(lines.line(QueueKey(number, ""), Line))  # type: ignore[arg-type]
        with pytest.raises(Declined):
            use(lines, QueueKey("one more", ""))


def test_whether_a_line_works_is_known_to_those_who_wait(lines: QueueRegistry) -> None:
    line = use(lines, QueueKey("s", 1))
    assert line.at_work()
    line.stop()
    deadline = time.monotonic() + 10
    while line.at_work():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_finishing_waits_for_the_work_of_all_but_not_when_a_thread_has_failed() -> None:
    threads = Threads(lambda _: None, lambda: None)
    lines = QueueRegistry(threads)
    line = use(lines, QueueKey("s", 1))
    line.may_end.clear()

    def fail() -> None:
        line.stopped.wait(10)
        raise MemoryError

    threads.start("failing", fail)
    lines.finish()
    assert line.stopped.is_set()
    assert line.at_work()
    line.may_end.set()
