"""What retries a connection that a busy server drops."""

import pytest

from nix_remote.errors import ConnectionBroken, ServerBusy
from nix_remote.ssh import backoff
from nix_remote.ssh.backoff import DroppedBeforeGreeting, retry_while_dropped


class Clock:
    """Time that passes only while the code sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(backoff, "time", clock)
    return clock


class Server:
    """Drops the first connections."""

    def __init__(self, drops: float) -> None:
        self.drops = drops
        self.attempts = 0

    def connect(self) -> str:
        self.attempts += 1
        if self.attempts <= self.drops:
            raise DroppedBeforeGreeting
        return "connected"


def test_a_dropped_connection_is_retried_until_it_is_accepted(clock: Clock) -> None:
    server = Server(drops=3)
    assert retry_while_dropped(server.connect, "nix", "h:22") == "connected"
    assert server.attempts == 4
    assert len(clock.pauses) == 3


def test_pauses_grow_to_a_limit_and_the_server_is_given_up_after_30_seconds(clock: Clock) -> None:
    server = Server(drops=float("inf"))
    with pytest.raises(ServerBusy) as caught:
        retry_while_dropped(server.connect, "nix", "h:22")
    assert f"tried {server.attempts} times" in caught.value.why
    assert clock.pauses[0] < 0.5
    assert max(clock.pauses) <= 6
    assert 30 < clock.now < 36


def test_other_failures_are_not_retried(clock: Clock) -> None:
    def connect() -> None:
        raise ConnectionBroken("nix", "negotiating", "reset")

    with pytest.raises(ConnectionBroken):
        retry_while_dropped(connect, "nix", "h:22")
    assert clock.pauses == []
