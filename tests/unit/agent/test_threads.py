"""A thread that fails is reported, and so is one that cannot start."""

from __future__ import annotations

import threading

import pytest

from nix_remote.agent.threads import CannotStart, Threads

_BOUND = 20.0


def test_a_thread_that_fails_is_reported() -> None:
    logged: list[str] = []
    ended = threading.Event()
    threads = Threads(logged.append, ended.set)

    def fail() -> None:
        raise KeyboardInterrupt("unexpected")

    threads.start("one", fail).join(_BOUND)
    assert ended.is_set()
    assert threads.failed
    assert "unexpected" in logged[0]


def test_a_process_that_may_not_have_more_threads_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    threads = Threads(lambda _: None, lambda: None)
    with pytest.raises(CannotStart):
        threads.start("one", lambda: None)
    assert not threads.failed
