import os
import socket

from nix_remote.processes import attached


def test_a_process_can_be_at_the_end_of_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, attached(["sh", "-c", "cat; echo all is said >&2"], theirs) as cat:
        theirs.close()
        ours.sendall(b"hello")
        assert ours.recv(100) == b"hello"
        ours.shutdown(socket.SHUT_WR)
        assert cat.failure() == "all is said"


def test_children_of_an_attached_process_end_with_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with attached(["sh", "-c", "sleep 1000 & echo $!; wait"], theirs):
            pid = int(ours.recv(100))
        theirs.close()
        # Everybody who had the other end is gone.
        ours.settimeout(5)
        assert ours.recv(1) == b""
    assert not os.path.exists(f"/proc/{pid}/exe")
