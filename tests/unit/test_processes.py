import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Iterator

import pytest

from nix_remote.processes import (
    BoundProcess,
    PolledProcess,
    ProcessFailed,
    attached,
    exit_status,
    process,
)

BOUND = 5.0


@pytest.fixture
def started() -> Iterator[list[PolledProcess]]:
    """Processes to be ended after the test."""
    running: list[PolledProcess] = []
    yield running
    for each in running:
        each.end()


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + BOUND
    while is_there(pid):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_process_can_be_talked_to() -> None:
    with process(["cat"]) as cat:
        cat.write(b"hello")
        assert cat.read(5) == b"hello"


def test_a_program_that_does_not_exist_is_named() -> None:
    with (
        pytest.raises(ProcessFailed, match=r"no-such-program: No such file"),
        process(["no-such-program"]),
    ):
        pass


def test_what_a_process_wrote_to_standard_error_is_in_the_message() -> None:
    def talk() -> None:
        with process(["sh", "-c", "echo the database is locked >&2; exit 1"]) as shell:
            shell.read(1)
            raise EOFError("it ended")

    with pytest.raises(ProcessFailed, match="the database is locked"):
        talk()


def test_a_process_that_would_go_on_for_ever_is_ended() -> None:
    with process(["sh", "-c", "echo $$; exec sleep 1000"]) as shell:
        pid = int(shell.read(100))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_polled_process_never_makes_anybody_wait(started: list[PolledProcess]) -> None:
    started.append(sleeping := PolledProcess(["sleep", "1000"]))
    with pytest.raises(TimeoutError):
        sleeping.read(1, 0.01)
    room = sleeping.write(bytes(1 << 24), 0.01)
    assert 0 < room < 1 << 24
    with pytest.raises(TimeoutError):
        sleeping.write(b"x", 0.01)
    assert sleeping.wait(0.01) is None


def test_a_polled_process_is_read_while_it_is_written_to(started: list[PolledProcess]) -> None:
    started.append(cat := PolledProcess(["cat"]))
    received = bytearray()

    def read_all() -> None:
        while piece := cat.read(1 << 16, BOUND):
            received.extend(piece)

    reader = threading.Thread(target=read_all)
    reader.start()
    rest = memoryview(bytes(range(256)) * 4096)
    while rest:
        rest = rest[cat.write(rest, BOUND) :]
    cat.close_input()
    reader.join(BOUND)
    assert bytes(received) == bytes(range(256)) * 4096
    assert cat.wait(BOUND) == 0


def test_only_the_end_of_what_is_said_is_kept(started: list[PolledProcess]) -> None:
    script = "yes loud | head -c 1000000 >&2; echo the end >&2; exit 3"
    started.append(shouting := PolledProcess(["sh", "-c", script], stderr_tail=100))
    assert shouting.wait(BOUND) == 3
    assert shouting.said.plain.endswith("loud\nthe end\n")
    assert len(shouting.said.plain) == 100
    assert shouting.said_count == 1_000_008


def test_writing_to_a_process_that_is_gone_says_so(started: list[PolledProcess]) -> None:
    started.append(gone := PolledProcess(["true"]))
    assert gone.wait(BOUND) == 0
    with pytest.raises(BrokenPipeError):
        gone.write(b"x", BOUND)
    assert gone.read(1, BOUND) == b""


def test_ending_a_process_ends_what_it_started_and_frees_a_reader(
    started: list[PolledProcess],
) -> None:
    shell = PolledProcess(["sh", "-c", "sleep 1000 & echo $!; wait"])
    child = int(shell.read(100, BOUND))
    reader = threading.Thread(target=lambda: shell.read(1, BOUND * 10))
    reader.start()
    shell.end()
    shell.end()
    reader.join(BOUND)
    assert not reader.is_alive()
    wait_until_gone(child)
    assert shell.read(1, BOUND) == b""
    with pytest.raises(BrokenPipeError):
        shell.write(b"x", BOUND)


def test_a_process_that_ignores_being_asked_is_killed() -> None:
    stubborn = PolledProcess(["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.1; done"])
    assert stubborn.read(1, BOUND)
    stubborn.end()
    assert stubborn.wait(BOUND) == -signal.SIGKILL


def test_a_polled_process_that_does_not_exist_is_named() -> None:
    with pytest.raises(ProcessFailed, match=r"no-such-program: No such file"):
        PolledProcess(["no-such-program"])


def test_a_bound_process_tells_its_own_status(started: list[PolledProcess]) -> None:
    started.append(failing := BoundProcess(["sh", "-c", "echo why >&2; exit 7"]))
    assert failing.wait(BOUND) == 7
    assert failing.said.plain == "why\n"


def test_what_a_bound_process_leaves_behind_ends_with_it(started: list[PolledProcess]) -> None:
    started.append(leaving := BoundProcess(["sh", "-c", "sleep 1000 & echo $! >&2"]))
    assert leaving.wait(BOUND) == 0
    wait_until_gone(int(leaving.said.plain))


def test_a_bound_process_ends_when_we_are_killed() -> None:
    code = """
import sys
from nix_remote.processes import BoundProcess
bound = BoundProcess(["sh", "-c", "echo $$ >&2; exec sleep 1000"])
while not bound.said:
    pass
print(bound.said, flush=True)
sys.stdin.read()
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        assert is_there(child)
        owner.kill()
    wait_until_gone(child)


def test_a_process_can_be_at_the_end_of_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, attached(["sh", "-c", "cat; echo all is said >&2"], theirs) as cat:
        theirs.close()
        ours.sendall(b"hello")
        assert ours.recv(100) == b"hello"
        ours.shutdown(socket.SHUT_WR)
        assert cat.failure() == "all is said"


def test_what_an_attached_process_has_started_ends_with_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with attached(["sh", "-c", "sleep 1000 & echo $!; wait"], theirs):
            pid = int(ours.recv(100))
        theirs.close()
        # Everybody who had the other end is gone.
        ours.settimeout(5)
        assert ours.recv(1) == b""
    assert not os.path.exists(f"/proc/{pid}/exe")


def test_an_exit_status_is_waited_for_with_a_bound() -> None:
    assert exit_status(["sh", "-c", "exit 3"], timeout=10) == 3
    begun = time.monotonic()
    with pytest.raises(ProcessFailed, match=r"did not end within 0.1 s"):
        exit_status(["sh", "-c", "sleep 1000; true"], timeout=0.1)
    assert time.monotonic() - begun < 5
