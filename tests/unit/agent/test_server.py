"""Every client gets an answer, whatever fails in the process that serves."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterator

import pytest

from nix_remote.agent import server as serving
from nix_remote.agent import thin_client
from nix_remote.agent.client_connection import Client, Declined
from nix_remote.agent.listener import OwnSocket
from nix_remote.agent.protocol import Run
from nix_remote.agent.server import Handlers, Server
from nix_remote.agent.thin_client import connecting, framing, leadership
from nix_remote.agent.threads import CannotStart, Threads

_CLIENTS = 50
_BOUND = 20.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return connecting.folder()


class Agent:
    """A server, and its threads."""

    def __init__(self, folder: str) -> None:
        self.handle: Callable[[Run, Client], int] = lambda _request, _client: 0
        self.log: list[str] = []
        lead = leadership.try_to_lead(folder)
        assert lead is not None
        self.threads = Threads(self.log.append, lambda: None)
        handlers = Handlers(
            run=lambda request, client: self.handle(request, client),
            status=lambda: "{}",
            stop=lambda: None,
            other_version=lambda: None,
            log=self.log.append,
        )
        self.server = Server(OwnSocket(lead), handlers, self.threads)
        self.server.start()


@pytest.fixture
def agent(folder: str) -> Iterator[Agent]:
    started = Agent(folder)
    yield started
    started.server.stop_accepting()
    started.server.close_connections()


def ask(folder: str) -> int:
    """The exit status. Raises `Unusable` and `Lost`."""
    connection = connecting.connect(folder)
    assert connection is not None
    try:
        return thin_client.ask(connection, thin_client.run_request(["copy"], terminal=False))
    finally:
        connection.close()


def ask_all(folder: str) -> list[str]:
    """How each of many clients, all at once, was declined."""

    def declined(_: int) -> str:
        with pytest.raises(framing.Unusable) as caught:
            ask(folder)
        return str(caught.value)

    begun = time.monotonic()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        outcomes = list(pool.map(declined, range(_CLIENTS)))
    assert time.monotonic() - begun < _BOUND
    return outcomes


@pytest.mark.parametrize(
    "error", [ValueError("²"), MemoryError(), OSError(24, "no descriptors"), CannotStart("no")]
)
def test_an_unexpected_failure_of_the_handler_is_declined(
    agent: Agent, folder: str, error: Exception
) -> None:
    def fail(_request: Run, _client: Client) -> int:
        raise error

    agent.handle = fail
    assert all(type(error).__name__ in reason for reason in ask_all(folder))
    assert not agent.threads.failed
    agent.handle = lambda _request, _client: 7
    assert ask(folder) == 7


def test_a_handler_that_dies_without_an_answer_is_noticed(
    agent: Agent, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the last frame can be made: the connection says so, and the process must end."""

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Client, "end", fail)
    assert ask_all(folder) == ["the handler of the request has failed"] * _CLIENTS
    assert agent.threads.failed


def test_a_client_whose_queue_has_failed_is_declined(agent: Agent, folder: str) -> None:
    alive = threading.Event()
    alive.set()
    never: Future[int] = Future()

    def wait(_request: Run, client: Client) -> int:
        return client.wait(never, alive.is_set)

    agent.handle = wait
    threading.Timer(0.5, alive.clear).start()
    assert set(ask_all(folder)) == {"the thread that copies has failed"}


def test_without_threads_clients_are_declined_at_once(
    agent: Agent, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("nix-remote"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert set(ask_all(folder)) == {"can't start new thread"}
    monkeypatch.setattr(threading.Thread, "start", start)
    assert ask(folder) == 0
    assert not agent.threads.failed


def test_a_client_that_has_no_thread_for_its_handler_is_declined(
    agent: Agent, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "nix-remote-handler":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert set(ask_all(folder)) == {"can't start new thread"}


def test_more_clients_than_can_be_served_are_declined(
    agent: Agent, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_MOST_CLIENTS", 0)
    assert set(ask_all(folder)) == {"too many clients"}


_STARVED = """
import os, resource, sys
from tests.unit.agent.test_server import Agent
agent = Agent(sys.argv[1])
usual = resource.getrlimit(resource.RLIMIT_NOFILE)
descriptor = os.open(os.devnull, os.O_RDONLY)
os.close(descriptor)
resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor + int(sys.argv[2]), usual[1]))
print("starved", flush=True)
sys.stdin.readline()
resource.setrlimit(resource.RLIMIT_NOFILE, usual)
print("fed", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("spare", [0, 1, 3])
def test_without_descriptors_every_client_is_answered(folder: str, spare: int) -> None:
    """At a real limit, with so many descriptors to spare."""

    def outcome(_: int) -> object:
        try:
            return ask(folder)
        except framing.Unusable as declined:
            return str(declined)

    with subprocess.Popen(
        [sys.executable, "-c", _STARVED, folder, str(spare)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"starved\n"
        begun = time.monotonic()
        with ThreadPoolExecutor(_CLIENTS) as pool:
            outcomes = set(pool.map(outcome, range(_CLIENTS)))
        assert time.monotonic() - begun < _BOUND
        assert outcomes <= ({0, "no descriptor is free"} if spare else {"no descriptor is free"})
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"fed\n"
        assert outcome(0) == 0
        process.stdin.close()
        assert process.wait(_BOUND) == 0


def test_a_refusal_is_received_although_the_request_could_not_be_sent() -> None:
    """The server has answered and closed before the client writes."""
    here, there = socket.socketpair()
    there.sendall(framing.hello() + framing.frame(framing.DECLINED, b"too many clients"))
    there.close()
    with here, pytest.raises(framing.Unusable, match="too many clients"):
        thin_client.ask(here, framing.frame(framing.STATUS))


def test_declined_by_a_handler_is_passed_on(agent: Agent, folder: str) -> None:
    def decline(_request: Run, _client: Client) -> int:
        raise Declined("busy")

    agent.handle = decline
    with pytest.raises(framing.Unusable, match="busy"):
        ask(folder)
