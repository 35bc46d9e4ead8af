from dataclasses import dataclass, field, replace
from typing import Iterator, Optional, Sequence

import pytest

from nix_remote import events
from nix_remote.errors import (
    PathContentMissing,
    PathRefused,
    RootNotCounted,
    RootRefused,
    ServerDiskFull,
    ServerEndedSession,
    SignatureRequired,
)
from nix_remote.protocol.versions import ProtocolVersion
from nix_remote.protocol.worker_conversation import WorkerConversation
from nix_remote.server.clock import ClockReading
from nix_remote.server.gc_roots.names import FOLDER, candidate_locations
from nix_remote.server.nix_errors import Account
from nix_remote.server.remote_exec import Finished, RemoteExec
from nix_remote.server.session import Session
from nix_remote.server.stores.base import DurableRoot, Outgoing, Question
from nix_remote.server.stores.worker import WorkerSession, WorkerStore, ask
from nix_remote.store.paths import PathInfo, StorePath, base_name
from nix_remote.wire.codec import encode_text
from tests.support.fake_server import LAST, EndSession, FakeServer, failure
from tests.support.paths import info, path

HELLO, BASH, GLIBC = path("hello"), path("bash"), path("glibc")
ROOT = DurableRoot(HELLO, ".local/state/x/hello")


def session(server: FakeServer, listener: events.Listener = events.ignore) -> WorkerSession:
    return Session(
        server.start(),
        WorkerConversation(),
        alias="server",
        command="nix-daemon --stdio",
        stall_timeout=30,
        listener=listener,
    )


@dataclass
class Commands(RemoteExec):
    """Programs of a server that can only be run to their end, and do what a test says."""

    answers: dict[str, Finished]
    run_so_far: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
        self.run_so_far.append(tuple(command))
        return self.answers[command[1]]


def store(
    server: FakeServer,
    listener: events.Listener = events.ignore,
    remote_exec: Optional[RemoteExec] = None,
    user: str = "me",
    home: Optional[str] = None,
    clock: Optional[ClockReading] = None,
) -> WorkerStore:
    return WorkerStore(
        session(server, listener),
        account=Account("server", user),
        listener=listener,
        remote_exec=remote_exec or Commands({}),
        open_session=lambda: session(server, listener),
        home=lambda: home,
        clock=lambda: clock,
    )


def locked(*paths: StorePath) -> Question:
    return Question(paths, lock=paths)


def outgoing(*infos: PathInfo) -> list[Outgoing]:
    return [Outgoing(one, iter([bytes(one.nar_size)])) for one in infos]


def test_every_path_is_locked_before_anything_is_said_about_it() -> None:
    server = FakeServer(valid={BASH})
    assert store(server).ask(locked(GLIBC, BASH, HELLO)) == {BASH}
    assert server.temporary_roots == {GLIBC, BASH, HELLO}
    assert server.operations == [11, 11, 11, 31]


def test_only_what_is_to_be_locked_is_locked_and_before_the_question() -> None:
    server = FakeServer(valid={BASH})
    opened = store(server)
    assert opened.ask(Question((GLIBC, BASH), lock=(BASH,))) == {BASH}
    assert server.temporary_roots == {BASH}
    assert server.operations == [11, 31]
    opened.lock([GLIBC])
    assert opened.ask(Question((HELLO,))) == frozenset()
    assert server.temporary_roots == {BASH, GLIBC}


def test_what_was_asked_with_the_greeting_is_not_asked_again() -> None:
    server = FakeServer(valid={BASH})
    opened = session(server)
    early = WorkerStore(
        opened,
        asked=ask(opened, locked(GLIBC, BASH)),
        account=Account("server", "me"),
        listener=events.ignore,
        remote_exec=Commands({}),
        open_session=lambda: opened,
    )
    assert early.ask(locked(GLIBC, BASH)) == {BASH}
    assert server.operations == [11, 11, 31]
    # Once only: what was valid then says nothing about now.
    server.valid.add(GLIBC)
    assert early.ask(locked(GLIBC, BASH)) == {GLIBC, BASH}


def test_other_paths_than_those_asked_with_the_greeting_are_asked_about() -> None:
    server = FakeServer(valid={BASH, HELLO})
    opened = session(server)
    early = WorkerStore(
        opened,
        asked=ask(opened, locked(GLIBC)),
        account=Account("server", "me"),
        listener=events.ignore,
        remote_exec=Commands({}),
        open_session=lambda: opened,
    )
    assert early.ask(locked(BASH)) == {BASH}
    assert early.ask(locked(HELLO)) == {HELLO}


def test_paths_arrive_in_order_with_their_content() -> None:
    server = FakeServer()
    seen: list[events.Event] = []
    infos = [info("glibc"), info("bash", "glibc"), info("hello", "bash", "glibc")]
    store(server, seen.append).push(outgoing(*infos))
    assert list(server.nars) == [GLIBC, BASH, HELLO]
    assert server.nars[HELLO] == bytes(infos[2].nar_size)
    assert [e.path for e in seen if isinstance(e, events.PathDone)] == [GLIBC, BASH, HELLO]
    sent = sum(event.count for event in seen if isinstance(event, events.BytesSent))
    assert sent == sum(one.nar_size for one in infos)


def test_a_refusal_is_understood_and_the_session_goes_on() -> None:
    server = FakeServer()
    server.before = lambda op, _: failure("No space left on device") if op == 39 else None
    opened = store(server)
    with pytest.raises(ServerDiskFull):
        opened.push(outgoing(info("glibc")))
    assert not opened.ended
    assert opened.ask(locked(GLIBC)) == frozenset()


def test_a_server_that_ends_in_the_middle_is_not_taken_for_one_that_refuses() -> None:
    server = FakeServer(stderr="unexpected end")

    def end(operation: int, _: str) -> None:
        if operation == 39:
            raise EndSession

    server.before = end
    opened = store(server)
    with pytest.raises(ServerEndedSession):
        opened.push(outgoing(info("glibc")))
    assert opened.ended


def test_after_a_refusal_no_more_paths_are_begun() -> None:
    server = FakeServer()
    server.before = lambda op, arg: failure("disk full") if arg == GLIBC else None
    many = [Outgoing(info(f"p{n}", "glibc"), iter([bytes(300_000)])) for n in range(10_000)]
    with pytest.raises(PathRefused, match="glibc"):
        store(server).push([*outgoing(info("glibc")), *many])
    assert server.operations.count(39) < 100


def test_a_path_that_is_valid_is_replaced_only_where_that_is_wanted() -> None:
    server = FakeServer(valid={GLIBC, BASH})
    opened = store(server)
    glibc, bash = outgoing(info("glibc"), info("bash", "glibc"))
    opened.push([glibc, replace(bash, replace=True)])
    assert set(server.nars) == {BASH}
    assert opened.ask(locked(GLIBC, BASH)) == {GLIBC, BASH}


def test_content_that_cannot_be_read_leaves_a_session_that_still_works() -> None:
    server = FakeServer()
    opened = store(server)

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise PathContentMissing(GLIBC, "I/O error")

    with pytest.raises(PathContentMissing):
        opened.push([Outgoing(info("glibc"), broken())])
    assert opened.ask(locked(BASH)) == frozenset()


def test_roots_come_before_the_barrier_and_the_last_look_after_it() -> None:
    server = FakeServer(valid={GLIBC, HELLO})
    seen: list[events.Event] = []
    assert store(server, seen.append).secure([GLIBC, HELLO], [ROOT]).valid == {GLIBC, HELLO}
    #          root, barrier, look; the root's location is known by then: is it counted
    assert server.operations == [47, 20, 31, 14]
    assert server.roots == {ROOT.location: HELLO}
    assert events.RootMade(HELLO, f"/home/copier/{ROOT.location}") in seen


@pytest.mark.parametrize("nix_version", ["2.20.1", "2.34.8", "2.35.2", "2.36.0", "3.0", "unknown"])
def test_whatever_version_greets_the_collector_is_waited_for(nix_version: str) -> None:
    server = FakeServer(valid={HELLO}, nix_version=nix_version)
    store(server).secure([HELLO], [ROOT])
    assert server.operations == [47, 20, 31, 14]


@pytest.mark.parametrize("operation", [47, 20])
def test_a_gap_that_opens_until_the_last_look_is_seen(operation: int) -> None:
    server = FakeServer(valid={GLIBC, HELLO})

    def vanish(current: int, argument: str) -> Optional[bytes]:
        if current == operation:
            server.valid.discard(HELLO)
        return None

    server.before = vanish
    opened = store(server)
    assert opened.secure([GLIBC, HELLO], [ROOT]).valid == {GLIBC}
    # Whatever happened to the root meanwhile, the next round makes it again.
    server.before = lambda operation, argument: None
    server.roots.clear()
    server.valid.add(HELLO)
    assert opened.secure([GLIBC, HELLO], [ROOT]).valid == {GLIBC, HELLO}
    assert server.roots == {ROOT.location: HELLO}


def test_a_root_is_renewed_without_waiting_for_a_collector() -> None:
    server = FakeServer(valid={HELLO})
    opened = store(server)
    opened.renew([ROOT])
    assert server.operations == [47]
    assert server.roots == {ROOT.location: HELLO}
    assert opened.ask(locked(HELLO)) == {HELLO}


def test_a_root_that_cannot_be_renewed_is_told() -> None:
    server = FakeServer(valid={HELLO})
    server.before = lambda op, _: failure("Permission denied") if op == 47 else None
    with pytest.raises(RootRefused, match="root"):
        store(server).renew([ROOT])


def test_a_root_that_cannot_be_made_breaks_the_promise() -> None:
    server = FakeServer(valid={HELLO})
    server.before = lambda op, _: failure("Permission denied") if op == 47 else None
    opened = store(server)
    with pytest.raises(RootRefused) as caught:
        opened.secure([HELLO], [ROOT])
    assert "Permission denied" in caught.value.why
    # Nothing is left unread in the session.
    assert opened.ask(locked(HELLO)) == {HELLO}


def test_a_root_refused_for_a_path_that_is_gone_is_a_gap() -> None:
    server = FakeServer(valid={GLIBC, HELLO})

    def vanish(operation: int, argument: str) -> Optional[bytes]:
        if operation != 47:
            return None
        server.valid.discard(HELLO)
        return failure("words of a Nix that we do not know")

    server.before = vanish
    seen: list[events.Event] = []
    assert store(server, seen.append).secure([GLIBC, HELLO], [ROOT]).valid == {GLIBC}
    assert not [event for event in seen if isinstance(event, events.RootMade)]


def test_a_refused_temporary_root_is_told() -> None:
    server = FakeServer(valid={HELLO})
    server.before = lambda op, _: failure("No space left on device") if op == 11 else None
    opened = store(server)
    opened.lock([HELLO])
    with pytest.raises(ServerDiskFull):
        opened.secure([HELLO], [ROOT])


# Whether the server's collector counts a root, and where roots go if it does not.

HOME = "/home/me"
TOP_ROOT = DurableRoot(HELLO, f"{FOLDER}/app-1/hello/{base_name(HELLO)}")
OWN_FOLDER, PER_USER = candidate_locations("me", HOME, TOP_ROOT.location)[1:]


def made(seen: list[events.Event]) -> list[str]:
    return [event.location for event in seen if isinstance(event, events.RootMade)]


def test_a_root_is_made_below_the_home_folder_wherever_the_session_runs() -> None:
    server = FakeServer(valid={HELLO}, folder="/tmp")
    seen: list[events.Event] = []
    store(server, seen.append, home=HOME).secure([HELLO], [TOP_ROOT])
    assert made(seen) == [f"{HOME}/{TOP_ROOT.location}"] == list(server.roots)
    # Whether it counts is asked in the same breath.
    assert server.operations == [47, 14, 20, 31]


def test_a_server_is_asked_once_per_session_whether_it_counts_roots_in_a_place() -> None:
    server = FakeServer(valid={HELLO, BASH})
    opened = store(server, home=HOME)
    for each in (HELLO, BASH):
        opened.secure([each], [DurableRoot(each, f"{FOLDER}/app-1/x/{base_name(each)}")])
    assert server.operations.count(14) == 1


def test_roots_of_others_make_no_difference() -> None:
    others = [("{temp:12}", HELLO), ("/proc/1/exe", HELLO), (f"{HOME}/{TOP_ROOT.location}", BASH)]
    server = FakeServer(valid={HELLO}, unseen=HOME, other_roots=others * 10_000)
    with pytest.raises(RootNotCounted):
        store(server, home=HOME, user="..").secure([HELLO], [TOP_ROOT])


def test_where_the_collector_cannot_read_the_home_folder_a_root_goes_where_it_can() -> None:
    server = FakeServer(valid={HELLO}, unseen=HOME)
    seen: list[events.Event] = []
    opened = store(server, seen.append, home=HOME)
    assert opened.secure([HELLO], [TOP_ROOT]).valid == {HELLO}
    assert made(seen) == [OWN_FOLDER]
    # Later ones go there at once. In the home folder it was made twice.
    opened.secure([HELLO], [TOP_ROOT])
    assert server.operations.count(47) == 4


def test_a_home_folder_that_cannot_be_written_is_no_obstacle_where_there_is_another_place() -> None:
    server = FakeServer(valid={HELLO})

    def refuse(operation: int, argument: str) -> Optional[bytes]:
        refused = operation == 47 and argument != PER_USER
        return failure(f"creating '{argument}': Permission denied") if refused else None

    server.before = refuse
    seen: list[events.Event] = []
    assert store(server, seen.append, home="/absent").secure([HELLO], [TOP_ROOT]).valid == {HELLO}
    assert made(seen) == [PER_USER]


def test_where_no_place_counts_the_first_one_is_told() -> None:
    server = FakeServer(valid={HELLO}, unseen="/")
    opened = store(server, home=HOME)
    with pytest.raises(RootNotCounted) as caught:
        opened.secure([HELLO], [TOP_ROOT])
    assert f"{HOME}/{TOP_ROOT.location}" in caught.value.what
    assert "install -d -m 755 -o me /nix/var/nix/gcroots/nix-remote/me" in caught.value.fix
    # The session is as good as before, and every place is tried anew.
    server.unseen = "nowhere"
    assert opened.secure([HELLO], [TOP_ROOT]).valid == {HELLO}


@pytest.mark.parametrize("folder", ["/", "/tmp", "/tmp/me", "/var/tmp/x", "/run/user/7"])
def test_a_session_that_runs_nowhere_near_a_home_folder_makes_no_root_there(folder: str) -> None:
    # The account may run this session and nothing else, so its home folder is not known.
    with pytest.raises(RootRefused) as caught:
        store(FakeServer(valid={HELLO}, folder=folder), user="..").secure([HELLO], [TOP_ROOT])
    assert "not in the account's home folder" in caught.value.why


def test_a_root_at_another_location_than_asked_for_is_refused() -> None:
    server = FakeServer(valid={HELLO})
    elsewhere = LAST + encode_text(f"/elsewhere/{TOP_ROOT.location}")
    server.before = lambda operation, _: elsewhere if operation == 47 else None
    with pytest.raises(RootRefused):
        store(server, home=HOME, user="..").secure([HELLO], [TOP_ROOT])


def test_a_path_that_vanishes_is_a_gap_and_no_fault_of_the_place() -> None:
    server = FakeServer(valid={GLIBC, HELLO})

    def vanish(operation: int, argument: str) -> Optional[bytes]:
        if operation == 47:
            server.valid.discard(HELLO)
        return None

    server.before = vanish
    seen: list[events.Event] = []
    opened = store(server, seen.append, home=HOME)
    assert opened.secure([GLIBC, HELLO], [TOP_ROOT]).valid == {GLIBC}
    assert list(server.roots) == [f"{HOME}/{TOP_ROOT.location}"]
    # Nothing was learnt of the place: it is asked about when the path is there again.
    server.before = lambda *_: None
    server.valid.add(HELLO)
    assert opened.secure([GLIBC, HELLO], [TOP_ROOT]).valid == {GLIBC, HELLO}
    assert server.operations.count(14) == 2


def old_server() -> FakeServer:
    return FakeServer(valid={GLIBC, HELLO}, protocol=ProtocolVersion(1, 34), nix_version="2.8.0")


def test_where_nix_cannot_make_roots_on_request_a_command_makes_them() -> None:
    server = old_server()
    server.roots[f"/home/me/{ROOT.location}"] = HELLO  # the command does it
    remote_exec = Commands({"--realise": Finished(0, f"/home/me/{ROOT.location}\n", "")})
    seen: list[events.Event] = []
    assert store(server, seen.append, remote_exec).secure([GLIBC, HELLO], [ROOT]).valid == {
        GLIBC,
        HELLO,
    }
    #                        barrier, look, counted
    assert server.operations == [20, 31, 14]
    assert remote_exec.run_so_far == [
        ("nix-store", "--realise", HELLO, "--add-root", ROOT.location)
    ]
    assert events.RootMade(HELLO, f"/home/me/{ROOT.location}") in seen


def test_a_path_that_is_gone_when_its_root_is_made_by_command_is_a_gap() -> None:
    # Although it is valid again at the last look: nothing keeps it.
    remote_exec = Commands({"--realise": Finished(1, "", f"error: path '{HELLO}' is not valid")})
    assert store(old_server(), remote_exec=remote_exec).secure([GLIBC, HELLO], [ROOT]).valid == {
        GLIBC
    }


@pytest.mark.parametrize(
    "answer",
    [Finished(1, "", "permission denied"), Finished(0, "", ""), Finished(0, "Welcome!", "")],
)
def test_a_command_that_makes_no_root_breaks_the_promise(answer: Finished) -> None:
    with pytest.raises(RootRefused):
        store(old_server(), remote_exec=Commands({"--realise": answer})).secure(
            [GLIBC, HELLO], [ROOT]
        )


def test_what_is_registered_there_is_told() -> None:
    server = FakeServer(valid={HELLO}, infos={HELLO: info("hello")})
    assert store(server).registered([HELLO, GLIBC]) == {HELLO: info("hello")}


def test_substitution_happens_in_a_session_of_its_own() -> None:
    server = FakeServer(substitutable={GLIBC})
    opened = store(server)
    opened.substitute([GLIBC, HELLO], at_most=10)
    assert opened.ask(locked(GLIBC, HELLO)) == {GLIBC}


def test_substitution_that_takes_too_long_or_fails_is_abandoned() -> None:
    for misbehaviour in (b"", failure("unable to download")):
        server = FakeServer(valid={HELLO})
        answer = misbehaviour
        server.before = lambda op, arg, answer=answer: answer if arg == "substitute" else None  # type: ignore[misc]
        seen: list[events.Event] = []
        opened = store(server, seen.append)
        opened.substitute([GLIBC], at_most=0.1)
        assert [e for e in seen if isinstance(e, events.SubstitutionAbandoned)]
        assert opened.ask(locked(GLIBC, HELLO)) == {HELLO}


LACKS_SIGNATURE = failure("cannot add path 'x' because it lacks a signature by a trusted key")


def test_without_trust_an_unsigned_path_is_refused_before_anything_is_sent() -> None:
    server = FakeServer(
        trust=2, before=lambda operation, _: LACKS_SIGNATURE if operation == 39 else None
    )
    opened = store(server)
    signed = PathInfo(HELLO, info("hello").nar_hash, 1, signatures=("k:c2ln",))
    addressed = PathInfo(BASH, info("bash").nar_hash, 1, content_address="fixed:r:sha256:x")
    opened.check_acceptable([signed, addressed])
    with pytest.raises(SignatureRequired) as caught:
        opened.check_acceptable([signed, info("glibc")])
    assert GLIBC in caught.value.why
    assert server.operations == [39]
    trusting = FakeServer(trust=1)
    store(trusting).check_acceptable([info("glibc")])
    assert trusting.operations == []


def test_a_server_that_does_not_trust_us_and_requires_no_signatures_is_asked_once() -> None:
    server = FakeServer(trust=2)
    opened = store(server)
    opened.check_acceptable([info("glibc"), info("bash", "glibc")])
    assert server.operations == [39]
    assert opened.ask(locked(GLIBC)) == set()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_server_that_does_not_say_if_it_trusts_us_is_probed_when_it_matters(
    trusted: bool,
) -> None:
    refusal = failure("cannot add path 'x' because it lacks a valid signature")
    server = FakeServer(
        protocol=ProtocolVersion(1, 34),
        before=lambda operation, _: refusal if operation == 39 and not trusted else None,
    )
    opened = store(server)
    opened.check_acceptable([PathInfo(HELLO, info("hello").nar_hash, 1, signatures=("k:c2ln",))])
    assert server.operations == []
    if trusted:
        opened.check_acceptable([info("glibc")])
    else:
        with pytest.raises(SignatureRequired) as caught:
            opened.check_acceptable([info("glibc")])
        assert GLIBC in caught.value.why
    assert server.operations == [39]
    assert opened.ask(locked(GLIBC)) == set()


def test_a_probe_that_fails_for_another_reason_is_told_as_that() -> None:
    server = FakeServer(
        protocol=ProtocolVersion(1, 34), before=lambda *_: failure("No space left on device")
    )
    with pytest.raises(ServerDiskFull):
        store(server).check_acceptable([info("glibc")])


def test_root_is_trusted_without_asking() -> None:
    server = FakeServer(protocol=ProtocolVersion(1, 34))
    opened = store(server, user="root")
    opened.check_acceptable([info("glibc")])
    assert server.operations == []


CLOCK = ClockReading(server=5000, at_latest=90.0)


def test_by_when_a_top_path_was_valid_is_told_by_the_servers_times() -> None:
    server = FakeServer(valid={GLIBC, HELLO}, infos={HELLO: info("hello")}, registered=4000)
    opened = store(server, clock=CLOCK)
    assert opened.secure([GLIBC, HELLO], [ROOT]).since == {HELLO: 90.0 - 999.0}
    # The next question has its own answer.
    assert opened.ask(Question((BASH, HELLO))) == {HELLO}


def test_what_was_registered_since_the_clock_was_read_has_no_age() -> None:
    server = FakeServer(valid={HELLO}, infos={HELLO: info("hello")}, registered=5001)
    assert store(server, clock=CLOCK).secure([HELLO], [ROOT]).since == {}


def test_a_server_whose_clock_is_not_known_is_not_asked_for_ages() -> None:
    server = FakeServer(valid={HELLO}, infos={HELLO: info("hello")})
    assert store(server).secure([HELLO], [ROOT]).since == {}
    assert 26 not in server.operations
