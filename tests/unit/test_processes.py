import os
import socket
import time

import pytest

from nix_remote.processes import ProcessFailed, attached, exit_status, process


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
