import io
import re

import pytest

from nix_remote import events
from nix_remote.cli.render import Renderer, format_age, format_bytes
from nix_remote.store.plan import make_plan
from nix_remote.text import PeerText
from tests.support.paths import info, path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def render(stream: io.StringIO, *shown: events.Event, verbose: bool = False) -> str:
    ticks = iter(range(1000))
    renderer = Renderer(
        stream, host="server", package="hello", verbose=verbose, clock=lambda: next(ticks)
    )
    for event in shown:
        renderer(event)
    renderer.close()
    return stream.getvalue()


PLAN = events.PlanReady(make_plan([info("a", nar=bytes(1536)), info("b")], {path("b")}))
NOTHING = events.PlanReady(make_plan([info("b")], {path("b")}))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 m"), (7199, "1 h"), (86400, "1 d"), (864000, "10 d")],
)
def test_ages(seconds: int, text: str) -> None:
    assert format_age(seconds) == text


def test_one_line_reports_what_is_sent_with_package_and_server() -> None:
    assert render(io.StringIO(), PLAN) == (
        "nix-remote: hello: sending 1 of 2 paths to server (1.5 KiB)\n"
    )


def test_no_output_if_nothing_is_sent() -> None:
    shown = (events.Connected("server", "x"), NOTHING, events.RootMade(path("b"), "/r"))
    assert render(io.StringIO(), *shown) == ""


def test_verbose_reports_the_connection() -> None:
    shown = (events.Connected("server", "paramiko; Nix 2.34"), NOTHING)
    text = render(io.StringIO(), *shown, verbose=True)
    assert "connected to server: paramiko; Nix 2.34" in text
    assert "server has all 1 path\n" in text


def test_progress_in_a_log_is_few_complete_lines() -> None:
    text = render(io.StringIO(), PLAN, *(events.BytesSent(path("a"), 100) for _ in range(14)))
    assert "\r" not in text
    assert text.count("s left") == 1


def test_paths_that_another_copy_sends_are_marked() -> None:
    plan = make_plan([info("b")], {path("b")})
    others = tuple(info(name, nar=bytes(1000)) for name in ("c", "d"))
    sent = (events.BytesSent(path("c"), 1000), events.PathDone(path("c")))
    slowly = [events.BytesSent(path("d"), 100) for _ in range(8)]
    text = render(io.StringIO(), events.PlanReady(plan, others), *sent, *slowly)
    assert text.splitlines()[0] == (
        "nix-remote: hello: nothing to send;"
        " waiting for another copy to send 2 paths (2.0 KiB) to server"
    )
    assert text.splitlines()[1].startswith(
        "nix-remote: hello: another copy: 1 of 2 paths, 1.8 KiB of 2.0 KiB,"
    )


def test_progress_on_a_terminal_updates_one_line_and_removes_it() -> None:
    text = render(Terminal(), PLAN, *(events.BytesSent(path("a"), 100) for _ in range(14)))
    assert text.count("\r\x1b[K") == 15
    assert text.count("\n") == 1
    assert text.endswith("\r\x1b[K")


def test_a_wait_is_reported_with_its_reason() -> None:
    assert "waiting for a path (12 s)" in render(io.StringIO(), events.Waiting("a path", 12.3))


def test_a_removal_reports_its_progress() -> None:
    shown = [events.RootsVisited(done, 12000) for done in (5000, 10000)]
    text = render(io.StringIO(), *shown)
    assert [line.partition("removing")[2] for line in text.splitlines()] == [
        " roots: 5000 of 12000",
        " roots: 10000 of 12000",
    ]


def test_no_event_reaches_a_terminal_unescaped() -> None:
    stream = io.StringIO()
    renderer = Renderer(stream, host="server", package=None, verbose=True)
    hostile = "\x1b]0;owned\x07\x1b[31mred\u202e\x9b1m"
    for event in (
        events.Connected("server", hostile),
        events.RootMade(path("b"), hostile),
        events.ServerSaid(PeerText(f"one\n{hostile}")),
        events.SubstitutionAbandoned(hostile),
        events.SessionNotAdded(hostile),
    ):
        renderer(event)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", stream.getvalue())
    assert stream.getvalue().count("\n") == 5
