"""Two that send to the same server take turns, and the second one sends nothing twice."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from nix_remote import events
from nix_remote.server.stores.base import Question
from nix_remote.server.upload_lock import LockingStore, UploadLock
from nix_remote.store.paths import StorePath
from tests.support.paths import path

QUESTION = Question((path("a"), path("b")))


class Store:
    """Only what a turn needs: which paths are valid, and how often that was asked."""

    def __init__(self, valid: set[StorePath]) -> None:
        self.valid = valid
        self.asked = 0

    def ask(self, question: Question) -> frozenset[StorePath]:
        self.asked += 1
        return frozenset(self.valid.intersection(question.paths))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "turn"


def upload_lock(
    file: Path, *, stall_timeout: float = 30, listener: events.Listener = events.ignore
) -> UploadLock:
    return UploadLock(
        file, stall_timeout=stall_timeout, listener=listener, sleep=lambda _: time.sleep(0.001)
    )


def locking(store: Store, upload_lock: UploadLock) -> LockingStore:
    return LockingStore(store, upload_lock)  # type: ignore[arg-type]  # only `ask` is called


def test_with_nothing_missing_nobody_waits(file: Path) -> None:
    holder, other = upload_lock(file), upload_lock(file)
    holder.take(since=0)
    store = Store({*QUESTION.paths})
    assert locking(store, other).ask(QUESTION) == set(QUESTION.paths)
    assert not other.held
    holder.release()


def test_who_waited_asks_again(file: Path) -> None:
    valid: set[StorePath] = set()
    holder, other, store = upload_lock(file), upload_lock(file), Store(valid)
    holder.take(since=0)
    answers: list[frozenset[StorePath]] = []
    second = threading.Thread(target=lambda: answers.append(locking(store, other).ask(QUESTION)))
    second.start()
    while store.asked == 0:
        time.sleep(0.001)
    valid.update(QUESTION.paths)
    holder.release()
    second.join(10)
    assert answers == [frozenset(QUESTION.paths)]
    assert (store.asked, other.held) == (2, False), "the next one need not wait for it"


def test_who_does_not_wait_asks_again_if_somebody_was_there_since(file: Path) -> None:
    first = upload_lock(file)
    first.take(since=0)
    first.release()
    before = upload_lock(file).state()
    assert not first.take(since=before)
    first.release()
    assert upload_lock(file).take(since=before)


def test_without_others_one_question_is_enough(file: Path) -> None:
    file.touch()
    store = Store(set())
    own = upload_lock(file)
    assert locking(store, own).ask(QUESTION) == set()
    assert (store.asked, own.held) == (1, True)
    locking(store, own).ask(QUESTION)
    assert store.asked == 2, "it is ours already"


def test_a_holder_that_does_not_move_is_passed_by(file: Path) -> None:
    holder, other = upload_lock(file), upload_lock(file, stall_timeout=0.2)
    holder.take(since=0)
    long_ago = time.time() - 1000
    os.utime(file, (long_ago, long_ago))
    assert other.take(since=0)
    assert not other.held


def test_a_holder_that_does_not_move_is_passed_by_although_the_clock_was_put_back(
    file: Path,
) -> None:
    holder, other = upload_lock(file), upload_lock(file, stall_timeout=1)
    holder.take(since=holder.state())
    tomorrow = time.time() + 86400
    os.utime(file, (tomorrow, tomorrow))
    assert other.take(since=other.state())
    assert not other.held
    holder.release()


def test_a_holder_that_moves_is_waited_for_and_that_is_said(file: Path) -> None:
    heard: list[events.Event] = []
    holder = upload_lock(file)
    holder.take(since=0)

    def release_when_heard(event: events.Event) -> None:
        heard.append(event)
        holder.release()

    other = upload_lock(file, listener=release_when_heard)
    other.take(since=0)
    assert other.held
    (said,) = heard
    assert isinstance(said, events.Waiting)
    assert said.seconds >= 10


def test_a_lock_that_cannot_be_had_is_done_without(tmp_path: Path) -> None:
    nowhere = upload_lock(tmp_path / "missing" / "turn")
    assert not nowhere.take(since=0)
    assert not nowhere.held
    nowhere.release()
