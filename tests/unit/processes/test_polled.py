import os
import signal
import subprocess
import sys
import threading
import time
from typing import Iterator

import pytest

from nix_remote.processes import BoundProcess, PolledProcess, ProcessFailed

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


def test_waits_for_a_polled_process_are_bounded(started: list[PolledProcess]) -> None:
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


def test_only_the_end_of_standard_error_is_kept(started: list[PolledProcess]) -> None:
    script = "yes loud | head -c 1000000 >&2; echo the end >&2; exit 3"
    started.append(shouting := PolledProcess(["sh", "-c", script], stderr_tail=100))
    assert shouting.wait(BOUND) == 3
    assert shouting.said.plain.endswith("loud\nthe end\n")
    assert len(shouting.said.plain) == 100
    assert shouting.said_count == 1_000_008


def test_writing_to_a_process_that_has_ended_fails(started: list[PolledProcess]) -> None:
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


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    stubborn = PolledProcess(["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.1; done"])
    assert stubborn.read(1, BOUND)
    stubborn.end()
    assert stubborn.wait(BOUND) == -signal.SIGKILL


def test_the_error_names_a_polled_program_that_does_not_exist() -> None:
    with pytest.raises(ProcessFailed, match=r"no-such-program: No such file"):
        PolledProcess(["no-such-program"])


def test_a_bound_process_has_its_own_exit_status(started: list[PolledProcess]) -> None:
    started.append(failing := BoundProcess(["sh", "-c", "echo why >&2; exit 7"]))
    assert failing.wait(BOUND) == 7
    assert failing.said.plain == "why\n"


def test_children_of_a_bound_process_end_with_it(started: list[PolledProcess]) -> None:
    started.append(leaving := BoundProcess(["sh", "-c", "sleep 1000 & echo $! >&2"]))
    assert leaving.wait(BOUND) == 0
    wait_until_gone(int(leaving.said.plain))


def test_a_bound_process_ends_when_its_parent_is_killed() -> None:
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
