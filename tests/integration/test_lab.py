"""The lab itself: versions, delays, faults, store content."""

from __future__ import annotations

import statistics
import sys
from typing import Iterator

import pytest

from lab import images, nix, sshd
from lab.commands import LabError, run
from lab.content import Shape, make_closure, make_sparse_file
from lab.host import Host, wait_until
from lab.lab import ACCOUNT, GUEST, Lab, alias
from lab.relay import Action, Direction, Fault, Relay
from lab.wan import wide_area_link

VERSIONS = list(nix.Version)


@pytest.mark.parametrize("program", ["lab.__main__", "tests.demo", "bench.__main__"])
def test_what_a_fresh_machine_runs_needs_the_standard_library_alone(program: str) -> None:
    python = [sys.executable, "-S", "-c", f"import {program}"]
    run(python, cwd=images.REPOSITORY).check()


def nix_copy(workstation: Host, destination: str, path: str) -> str:
    """Copies with Nix's own tools; returns the error, if any."""
    words = ["nix", "copy", "--extra-experimental-features", "nix-command", "--no-check-sigs"]
    done = workstation.run([*words, "--to", f"ssh-ng://{destination}", path])
    return done.text if done.status != 0 else ""


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: str(version.value))
def test_a_server_has_its_nix_its_store_and_its_accounts(lab: Lab, version: nix.Version) -> None:
    server = lab.server_with(version)
    assert server is lab.server_with(version)
    printed = server.sh("nix --version").split()[-1]
    assert version is nix.Version.CURRENT or printed.startswith(f"{version.value}.")

    path = make_closure(lab.workstation, Shape(f"version-{version.value}", paths=2))[-1]
    assert "lacks a" in nix_copy(lab.workstation, alias(server, GUEST), path)
    assert not nix.is_valid(server, path)
    assert nix_copy(lab.workstation, alias(server, ACCOUNT), path) == ""
    assert nix.is_valid(server, path)
    others = [lab.server_with(other) for other in VERSIONS if other is not version]
    assert not any(nix.is_valid(other, path) for other in others)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: str(version.value))
def test_every_workstation_knows_every_server(lab: Lab, version: nix.Version) -> None:
    workstation = lab.workstation_with(version)
    printed = workstation.sh("nix --version").split()[-1]
    assert version is nix.Version.CURRENT or printed.startswith(f"{version.value}.")
    for server in map(lab.server_with, VERSIONS):
        for account in (ACCOUNT, "root", GUEST):
            login = ["ssh", "-o", "BatchMode=yes", alias(server, account), "hostname; whoami"]
            assert workstation.run(login).check().stdout.split() == [server.name, account]
    workstation.run(["nix-remote", "copy", "--help"]).check()


def test_a_store_of_a_limited_size_is_full_at_its_limit(lab: Lab) -> None:
    server = lab.start_server("small-server", nix.Version.CURRENT, store_size="24m")
    fits = make_sparse_file(lab.workstation, "fits", 8_000_000)
    too_large = make_sparse_file(lab.workstation, "too-large", 32_000_000)
    assert nix_copy(lab.workstation, alias(server), fits) == ""
    assert "No space left on device" in nix_copy(lab.workstation, alias(server), too_large)
    assert nix.is_valid(server, fits)
    assert not nix.is_valid(server, too_large)


def test_a_second_host_of_one_name_is_refused_and_the_first_stays(lab: Lab) -> None:
    with pytest.raises(LabError, match="a host named nix-server already"):
        lab.start_server(lab.server.name, nix.Version.CURRENT)
    assert lab.server.sh("hostname") == "nix-server\n"


def test_a_service_is_not_started_twice(lab: Lab) -> None:
    with pytest.raises(LabError, match="nix-daemon on nix-server is running already"):
        nix.start_daemon(lab.server)
    nix.restart_daemon(lab.server)


def test_bulk_content_is_as_valid_as_any(lab: Lab) -> None:
    shape = Shape("bulk", paths=200, files_per_path=3, file_size=1000)
    paths = make_closure(lab.workstation, shape)
    assert set(nix.closure(lab.workstation, paths[-1])) == set(paths)
    edges = sum(len(nix.registration(lab.workstation, path).references) for path in paths[:20])
    assert edges > 20
    nix.verify(lab.workstation, paths)
    nix.verify(lab.workstation, [make_sparse_file(lab.workstation, "sparse", 10_000_000)])


# A port without a listener answers after one round trip, and leaves no trace.
_CONNECT = """
import socket, sys, time
for _ in range(7):
    with socket.socket() as client:
        begun = time.perf_counter()
        client.connect_ex((sys.argv[1], 9))
        print((time.perf_counter() - begun) * 1000)
"""


def round_trip(client: Host, server: Host) -> float:
    """Milliseconds."""
    printed = client.run(["python3", "-c", _CONNECT, server.address]).check().stdout
    return statistics.median(float(line) for line in printed.split())


def test_a_wide_area_link_has_the_round_trip_time_asked_for(lab: Lab) -> None:
    assert round_trip(lab.workstation, lab.server) < 5
    with wide_area_link(lab.server, rtt_ms=40):
        assert 40 <= round_trip(lab.workstation, lab.server) < 50
        assert 40 <= round_trip(lab.executor, lab.server) < 50
        assert round_trip(lab.workstation, lab.executor) < 5
    assert round_trip(lab.workstation, lab.server) < 5


# Reads from the first connection to its end and prints how long that took.
_RECEIVE = """
import socket, time
with socket.create_server(("", 2310)) as listener:
    print("ready", flush=True)
    sender, _ = listener.accept()
    begun = time.perf_counter()
    while sender.recv(1 << 20):
        pass
    print(time.perf_counter() - begun, flush=True)
"""
_SEND = """
import socket, sys
with socket.create_connection((sys.argv[1], 2310)) as connection:
    connection.sendall(bytes(int(sys.argv[2])))
"""


def test_a_wide_area_link_has_the_bandwidth_asked_for(lab: Lab) -> None:
    size, mbit = 4_000_000, 40
    with wide_area_link(lab.server, rtt_ms=10, mbit_per_second=mbit):
        lab.server.start_service("receiver", ["python3", "-c", _RECEIVE])
        wait_until(lambda: "ready" in lab.server.log("receiver"), "the receiver")
        send = ["python3", "-c", _SEND, lab.server.address, str(size)]
        lab.workstation.run(send).check()
        wait_until(lambda: len(lab.server.log("receiver").split()) == 2, "the receiver to end")
    seconds = float(lab.server.log("receiver").split()[1])
    ideal = size * 8 / mbit / 1e6
    assert 0.9 * ideal < seconds < 1.5 * ideal


# For every connection: sends 50 000 bytes, and reads to the end.
_TALKER = """
import socket, threading
def talk(client):
    try:
        client.sendall(bytes(50_000))
        while client.recv(1 << 16):
            pass
    except OSError:
        pass
    client.close()
with socket.create_server(("127.0.0.1", 2320)) as listener:
    print("ready", flush=True)
    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()
"""
# Does the same from the other side; prints how much it got and how it ended. The
# kernel reports a reset only once, to the first call, of sender or receiver.
_LISTENER = """
import socket, sys, threading
try:
    connection = socket.create_connection((sys.argv[1], 2300), timeout=1)
except ConnectionResetError:  # sooner than this side knew that it was connected
    print(0, "reset")
    sys.exit()
with connection:
    received, ends = 0, ["end"]
    def send():
        try:
            connection.sendall(bytes(50_000))
        except ConnectionResetError:
            ends.append("reset")
        except OSError:
            pass
    sender = threading.Thread(target=send)
    sender.start()
    try:
        while data := connection.recv(1 << 16):
            received += len(data)
            if received == 50_000:
                sender.join()
                connection.shutdown(socket.SHUT_WR)
    except ConnectionResetError:
        ends.append("reset")
    except TimeoutError:
        ends.append("silence")
    except OSError:  # not connected any more: the sender has been told of the reset
        ends.append("reset")
    sender.join()
    print(received, ends[-1])
"""


@pytest.fixture(scope="module")
def talker(lab: Lab) -> Iterator[Relay]:
    """A relay to a program on the server that talks without being asked."""
    lab.server.start_service("talker", ["python3", "-c", _TALKER])
    wait_until(lambda: "ready" in lab.server.log("talker"), "the talker")
    with Relay(lab.server, target_port=2320) as relay:
        yield relay
    lab.server.stop_service("talker")


def listen(lab: Lab) -> tuple[int, str]:
    printed = lab.workstation.run(["python3", "-c", _LISTENER, lab.server.address]).check().stdout
    received, end = printed.split()
    return int(received), end


def test_a_relay_without_a_fault_changes_nothing(lab: Lab, talker: Relay) -> None:
    talker.fault = None
    assert listen(lab) == (50_000, "end")
    assert talker.connections[-1].forwarded == {Direction.UP: 50_000, Direction.DOWN: 50_000}


@pytest.mark.parametrize("after", [0, 1, 12_345])
@pytest.mark.parametrize("direction", list(Direction), ids=lambda direction: str(direction.name))
@pytest.mark.parametrize(
    ("action", "end"), [(Action.FIN, "end"), (Action.RST, "reset"), (Action.FREEZE, "silence")]
)
def test_a_relay_breaks_a_connection_at_the_byte_asked_for(
    lab: Lab, talker: Relay, direction: Direction, after: int, action: Action, end: str
) -> None:
    talker.fault = Fault(direction, after, action)
    received, ended = listen(lab)
    assert ended == end
    connection = talker.connections[-1]
    assert connection.happened is action
    assert connection.forwarded[direction] == after
    if direction is Direction.DOWN and action is not Action.RST:
        assert received == after


def test_a_relay_carries_ssh(lab: Lab) -> None:
    with Relay(lab.server, port=2301) as relay:
        sshd.introduce(lab.workstation, relay.ssh_server, {"through-relay": ACCOUNT})
        assert lab.workstation.sh("ssh -o BatchMode=yes through-relay echo hello") == "hello\n"
