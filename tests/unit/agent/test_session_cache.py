"""The session between copies: when it is opened, and which error its end reports."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

import pytest

from nix_remote import events
from nix_remote.agent.session_cache import SessionCache
from nix_remote.errors import ServerDiskFull, ServerEndedSession
from nix_remote.server.stores.base import Question, RemoteStore
from nix_remote.server.upload_lock import UploadLock

QUESTION = Question(())
ENDED = ServerEndedSession("s", "copying", "")


class Sessions:
    """Opens sessions that diagnose why they ended, if they can."""

    def __init__(self) -> None:
        self.open = 0
        self.ends = 0
        self.cause: Optional[Exception] = None

    @contextmanager
    def open_store(self, _: Question) -> Iterator[RemoteStore]:
        self.open += 1
        try:
            yield Store()  # type: ignore[abstract]
        except ServerEndedSession as ended:
            raise self.cause or ended from None
        finally:
            self.open -= 1

    def end(self) -> None:
        self.ends += 1


class Store(RemoteStore):
    ended = False


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def cache(sessions: Sessions, tmp_path: Path) -> SessionCache:
    lock = UploadLock(tmp_path / "lock", stall_timeout=10, listener=events.ignore)
    return SessionCache(sessions.open_store, lock, sessions.end)


def fail(cache: SessionCache, error: BaseException) -> None:
    with cache.use(QUESTION):
        raise error


def test_a_session_is_opened_once_and_used_again(cache: SessionCache, sessions: Sessions) -> None:
    for _ in range(2):
        with cache.use(QUESTION):
            assert cache.alive
    assert (cache.opened, sessions.open) == (1, 1)
    cache.end()
    assert not cache.alive
    assert sessions.open == 0


def test_an_error_that_the_session_diagnoses_is_raised_as_its_cause(
    cache: SessionCache, sessions: Sessions
) -> None:
    sessions.cause = ServerDiskFull("s", "no space")
    with pytest.raises(ServerDiskFull) as caught:
        fail(cache, ENDED)
    assert caught.value.__context__ is ENDED
    assert not cache.alive
    assert sessions.open == 0


@pytest.mark.parametrize("error", [ENDED, ValueError("a defect"), KeyboardInterrupt()])
def test_an_error_without_a_diagnosis_is_raised_unchanged(
    cache: SessionCache, sessions: Sessions, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        fail(cache, error)
    assert caught.value is error
    assert not cache.alive
    assert sessions.open == 0


def test_the_end_of_a_session_is_reported_before_the_next_one_is_opened(
    cache: SessionCache, sessions: Sessions
) -> None:
    with pytest.raises(ValueError, match="a defect"):
        fail(cache, ValueError("a defect"))
    ends = sessions.ends
    assert ends > 0
    with cache.use(QUESTION):
        assert cache.opened == 2
