from typing import Iterator, Optional

import pytest

from nix_remote import events
from nix_remote.errors import (
    PathContentChanged,
    PathContentMissing,
    PathRefused,
    RootRefused,
    ServerTooOld,
    SignatureRequired,
)
from nix_remote.protocol.versions import ProtocolVersion
from nix_remote.remote.session import WorkerSession
from nix_remote.remote.store import DurableRoot, Outgoing, ReferenceVanished
from nix_remote.remote.worker_store import WorkerStore
from nix_remote.wire.types import PathInfo
from tests.support.fake_server import FakeServer, failure
from tests.support.paths import info, path

HELLO, BASH, GLIBC = path("hello"), path("bash"), path("glibc")
ROOT = DurableRoot(HELLO, ".local/state/x/hello")


def store(server: FakeServer, listener: events.Listener = events.ignore) -> WorkerStore:
    session = WorkerSession(
        server.start(),
        alias="server",
        command="nix-daemon --stdio",
        stall_timeout=30,
        listener=listener,
    )
    return WorkerStore(session, alias="server", user="me", listener=listener)


def outgoing(*infos: PathInfo) -> Iterator[Outgoing]:
    return (Outgoing(one, iter([bytes(one.nar_size)])) for one in infos)


def test_every_path_is_locked_before_anything_is_said_about_it() -> None:
    server = FakeServer(valid={BASH})
    assert store(server).lock_and_query([GLIBC, BASH, HELLO]) == {BASH}
    assert server.temporary_roots == {GLIBC, BASH, HELLO}
    assert server.operations == [11, 11, 11, 31]


def test_paths_arrive_in_order_with_their_content() -> None:
    server = FakeServer()
    seen: list[events.Event] = []
    infos = [info("glibc"), info("bash", "glibc"), info("hello", "bash", "glibc")]
    store(server, seen.append).push(outgoing(*infos))
    assert list(server.nars) == [GLIBC, BASH, HELLO]
    assert server.nars[HELLO] == bytes(infos[2].nar_size)
    assert [e.path for e in seen if isinstance(e, events.PathDone)] == [GLIBC, BASH, HELLO]
    assert [e for e in seen if isinstance(e, events.BytesSent)][-1].total == sum(
        one.nar_size for one in infos
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("cannot add path 'x' because it lacks a signature by a trusted key", SignatureRequired),
        ("cannot add path 'x' because it lacks a valid signature", SignatureRequired),
        ("hash mismatch importing path 'x'", PathContentChanged),
        ("size mismatch importing path 'x'", PathContentChanged),
        (f"path '{GLIBC}' is not valid", ReferenceVanished),
        ("writing to file: No space left on device", PathRefused),
    ],
)
def test_refusals_are_told_apart(message: str, expected: type[Exception]) -> None:
    server = FakeServer()
    server.before = lambda op, _: failure(message) if op == 39 else None
    with pytest.raises(expected):
        store(server).push(outgoing(info("glibc")))


def test_after_a_refusal_no_more_paths_are_begun() -> None:
    server = FakeServer()
    server.before = lambda op, arg: failure("disk full") if arg == GLIBC else None
    many = (info(f"p{n}", "glibc") for n in range(100_000))

    def everything() -> Iterator[Outgoing]:
        yield from outgoing(info("glibc"))
        for one in many:
            yield Outgoing(one, iter([bytes(300_000)]))

    with pytest.raises(PathRefused, match="glibc"):
        store(server).push(everything())
    assert server.operations.count(39) < 100


def test_content_that_cannot_be_read_leaves_a_session_that_still_works() -> None:
    server = FakeServer()
    opened = store(server)

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise PathContentMissing(GLIBC, "I/O error")

    with pytest.raises(PathContentMissing):
        opened.push(iter([Outgoing(info("glibc"), broken())]))
    assert opened.lock_and_query([BASH]) == frozenset()


def test_roots_are_made_between_the_barrier_and_a_second_lock() -> None:
    server = FakeServer(valid={GLIBC, HELLO})
    seen: list[events.Event] = []
    assert store(server, seen.append).secure([GLIBC, HELLO], [ROOT]) == {GLIBC, HELLO}
    #                        barrier, look, root, lock, look
    assert server.operations == [20, 31, 47, 11, 31]
    assert server.roots == {ROOT.location: HELLO}
    assert events.RootMade(HELLO, f"/home/copier/{ROOT.location}") in seen


def test_the_barrier_is_left_out_only_where_the_collector_does_without() -> None:
    server = FakeServer(valid={HELLO}, nix_version="2.35.1")
    store(server).secure([HELLO], [ROOT])
    assert server.operations == [31, 47, 11, 31]


def test_a_gap_that_opens_after_the_root_is_seen() -> None:
    server = FakeServer(valid={GLIBC, HELLO})

    def vanish(operation: int, argument: str) -> Optional[bytes]:
        if operation == 11:
            server.valid.discard(HELLO)
        return None

    server.before = vanish
    assert store(server).secure([GLIBC, HELLO], [ROOT]) == {GLIBC}


def test_a_root_that_cannot_be_made_breaks_the_promise() -> None:
    server = FakeServer(valid={HELLO})
    server.before = lambda op, _: failure("Permission denied") if op == 47 else None
    with pytest.raises(RootRefused) as caught:
        store(server).secure([HELLO], [ROOT])
    assert "Permission denied" in caught.value.why


def test_a_server_that_cannot_make_roots_is_refused() -> None:
    server = FakeServer(valid={HELLO}, protocol=ProtocolVersion(1, 34), nix_version="2.8.0")
    with pytest.raises(ServerTooOld, match=r"2\.8\.0"):
        store(server).secure([HELLO], [ROOT])


def test_without_trust_an_unsigned_path_is_refused_before_anything_is_sent() -> None:
    opened = store(FakeServer(trust=2))
    signed = PathInfo(HELLO, info("hello").nar_hash, 1, signatures=("k:c2ln",))
    addressed = PathInfo(BASH, info("bash").nar_hash, 1, content_address="fixed:r:sha256:x")
    opened.check_acceptable([signed, addressed])
    with pytest.raises(SignatureRequired) as caught:
        opened.check_acceptable([signed, info("glibc")])
    assert GLIBC in caught.value.why
    store(FakeServer(trust=1)).check_acceptable([info("glibc")])
