"""Which sessions an agent keeps."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import Callable

import pytest

from nix_remote.agent import registry as kept
from nix_remote.agent.client_connection import Declined
from nix_remote.agent.registry import MOST_QUEUES, QueueKey, QueueRegistry
from nix_remote.agent.threads import Threads


class Queue:
    """A queue that notes when it ends."""

    def __init__(self, name: str = "s") -> None:
        self.alias = name
        self.clients_connecting: Callable[[], bool] = lambda: False
        self.is_running: Callable[[], bool] = lambda: True
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
def queues(monkeypatch: pytest.MonkeyPatch) -> QueueRegistry:
    monkeypatch.setattr(kept, "REPLACED_AFTER", 0.0)
    return QueueRegistry(Threads(lambda _: None, lambda: None))


def use(queues: QueueRegistry, key: QueueKey, name: str = "s") -> Queue:
    made = Queue(name)
    with queues.queue(key, lambda: made) as queue:  # type: ignore[arg-type,return-value]
        return queue  # type: ignore[return-value]


def test_one_key_is_one_queue(queues: QueueRegistry) -> None:
    assert use(queues, QueueKey("s", 1)) is use(queues, QueueKey("s", 1))


def test_a_queue_is_replaced_by_a_newer_one_to_the_same_host(queues: QueueRegistry) -> None:
    old = use(queues, QueueKey("s", "socket 1"))
    other = use(queues, QueueKey("t", "socket 1"))
    new = use(queues, QueueKey("s", "socket 2"))
    queues.close_replaced()
    assert old.stopped.is_set()
    assert not other.stopped.is_set()
    assert not new.stopped.is_set()
    assert len(queues.status()) == 2


def test_a_queue_is_not_replaced_while_a_request_uses_it(queues: QueueRegistry) -> None:
    old = Queue()
    with queues.queue(QueueKey("s", 1), lambda: old):  # type: ignore[arg-type,return-value]
        use(queues, QueueKey("s", 2))
        queues.close_replaced()
        assert not old.stopped.is_set()
    queues.close_replaced()
    assert old.stopped.is_set()


def test_two_queues_in_alternating_use_are_both_kept_for_a_while(
    queues: QueueRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "REPLACED_AFTER", 3600.0)
    first = use(queues, QueueKey("s", 1))
    use(queues, QueueKey("s", 2))
    queues.close_replaced()
    assert use(queues, QueueKey("s", 1)) is first


def test_of_too_many_the_one_that_was_used_least_recently_is_closed(queues: QueueRegistry) -> None:
    made = [use(queues, QueueKey(number, "")) for number in range(MOST_QUEUES)]
    use(queues, QueueKey(0, ""))
    use(queues, QueueKey("one more", ""))
    assert [queue.stopped.is_set() for queue in made] == [False, True] + [False] * (MOST_QUEUES - 2)


def test_a_hundred_keys_never_keep_more_than_the_bound(queues: QueueRegistry) -> None:
    for number in range(100):
        deadline = time.monotonic() + 10
        while True:
            try:
                use(queues, QueueKey("s", number), "hundred")
                break
            except Declined:  # as many are about to end: their threads need a moment
                assert time.monotonic() < deadline
                time.sleep(0.001)
        assert len(queues.status()) <= MOST_QUEUES
        assert (
            sum(each.name == "nix-remote-hundred" for each in threading.enumerate())
            <= 2 * MOST_QUEUES
        )


def test_when_all_are_in_use_a_client_is_declined(queues: QueueRegistry) -> None:
    with ExitStack() as using:
        for number in range(MOST_QUEUES):
            using.enter_context(queues.queue(QueueKey(number, ""), Queue))  # type: ignore[arg-type]
        with pytest.raises(Declined):
            use(queues, QueueKey("one more", ""))


def test_waiting_clients_see_whether_a_queue_runs(queues: QueueRegistry) -> None:
    queue = use(queues, QueueKey("s", 1))
    assert queue.is_running()
    queue.stop()
    deadline = time.monotonic() + 10
    while queue.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_finishing_waits_for_the_work_of_all_but_not_when_a_thread_has_failed() -> None:
    threads = Threads(lambda _: None, lambda: None)
    queues = QueueRegistry(threads)
    queue = use(queues, QueueKey("s", 1))
    queue.may_end.clear()

    def fail() -> None:
        queue.stopped.wait(10)
        raise MemoryError

    threads.start("failing", fail)
    queues.finish()
    assert queue.stopped.is_set()
    assert queue.is_running()
    queue.may_end.set()
