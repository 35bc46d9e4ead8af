"""A copy queue without and with a thread of its own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Iterator

import pytest

from nix_remote import events
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.freshness import LastContact
from nix_remote.server.upload_lock import UploadLock
from tests.unit.agent.queue_server import (
    Clock,
    Local,
    Server,
)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(server: Server, clock: Clock, tmp_path: Path) -> CopyQueue:
    def upload_lock(listener: events.Listener) -> UploadLock:
        return UploadLock(tmp_path / "lock", stall_timeout=10, listener=listener)

    return CopyQueue("s", Local(), server.open_with, upload_lock, LastContact(clock))


@pytest.fixture
def agent(queue: CopyQueue) -> Iterator[CopyQueue]:
    """A queue with a thread of its own, as an agent has it."""
    thread = threading.Thread(target=queue.work, daemon=True)
    thread.start()
    yield queue
    queue.stop()
    thread.join(10)
    assert not thread.is_alive()
