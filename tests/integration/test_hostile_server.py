"""A malicious server: bounded time and memory, a clear error, no terminal escapes.

The server is `tests/support/hostile_server.py`; it runs beside the copier.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Callable, Iterator

import pytest

from lab.host import Host, wait_until
from lab.lab import Lab
from tests.conftest import AddEntry
from tests.integration.copier import (
    Copier,
    new_closure,
    over_both_transports,
    over_openssh_if_thorough,
)

PYTHON = "/opt/nix-remote/bin/python"
SCRIPT = "/src/nix_remote/tests/support/hostile_server.py"
MEGABYTES = 200
"""More than any copy needs, less than any flood."""

# Runs a command; then, what the largest process of it took, in KiB.
MEASURED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""

_ports = itertools.count(2400)


@dataclass(frozen=True)
class Ending:
    """The end of a copy."""

    status: int
    text: str
    megabytes: float

    @property
    def code(self) -> str:
        found = re.search(r"error\[([a-z-]+)\]", self.text)
        assert found, self.text
        return found[1]


Meet = Callable[..., Ending]
"""Copies to a hostile server of the mode given, and checks what always holds."""


@pytest.fixture(scope="module")
def path(lab: Lab) -> str:
    return new_closure(lab.workstation)[-1]


def start(workstation: Host, mode: str, port: int) -> str:
    """Starts the server; returns its line for known_hosts."""
    key = "/root/hostile_key"
    workstation.sh(f"[ -e {key} ] || ssh-keygen -q -t ed25519 -N '' -f {key}")
    workstation.start_service(f"hostile-{port}", [PYTHON, "-I", SCRIPT, mode, str(port), key])
    probe = f"exec 3<>/dev/tcp/127.0.0.1/{port}"
    wait_until(lambda: workstation.run(["bash", "-c", probe]).status == 0, "the hostile server")
    kind, blob = workstation.read(f"{key}.pub").split()[:2]
    return f"[127.0.0.1]:{port} {kind} {blob}\n"


@pytest.fixture
def hostile(lab: Lab, entry: AddEntry) -> Iterator[Callable[[str], str]]:
    """Starts a server that behaves in a mode; returns the name of a `Host` entry for it."""
    started = []

    def add(mode: str) -> str:
        port = next(_ports)
        known = start(lab.workstation, mode, port)
        started.append(port)
        lab.workstation.write(f"/root/known_{port}", known)
        return entry(
            f"hostile-{port}",
            *("HostName 127.0.0.1", f"Port {port}", f"UserKnownHostsFile /root/known_{port}"),
        )

    yield add
    for port in started:
        lab.workstation.stop_service(f"hostile-{port}")


@pytest.fixture
def meet(lab: Lab, copier: Copier, path: str, hostile: Callable[[str], str]) -> Meet:
    def copy(mode: str, *, within: float, stall: int = 2, protocol: str = "worker") -> Ending:
        alias = hostile(mode)
        env = {"NIX_REMOTE_STALL_TIMEOUT": str(stall), "NIX_REMOTE_PROTOCOL": protocol}
        verbose = ["-v"] if "escapes" in mode else []
        command = ["python3", "-c", MEASURED, *copier.command(*verbose, path, alias=alias)]
        done = lab.workstation.run(command, env=env, timeout=within)
        peak = re.search(r"^peak (\d+)$", done.stderr, re.M)
        assert peak, done.text
        ending = Ending(done.status, done.stderr, int(peak[1]) / 1024)
        assert 10 <= ending.status < 20, ending.text
        assert "\n  fix: " in ending.text
        assert ending.megabytes < MEGABYTES
        assert len(ending.text) < 20_000
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", ending.text)
        assert "Traceback" not in ending.text
        return ending

    return copy


@over_both_transports
@pytest.mark.parametrize(
    ("mode", "codes"),
    [
        ("endless_banner", {"negotiation-failed", "connection-timed-out"}),
        ("endless_line", {"negotiation-failed", "connection-timed-out"}),
        ("dripping_banner", {"connection-timed-out"}),
        ("escapes_in_banner", {"negotiation-failed"}),
        ("huge_packet", {"negotiation-failed", "connection-broken", "connection-timed-out"}),
        ("silence", {"connection-timed-out"}),
        ("silence_after_banner", {"connection-timed-out"}),
        ("escapes_in_login_banner", {"login-refused", "connection-broken"}),
        ("refusing_channels", {"connection-broken", "server-ended-session"}),
        ("ignoring_channels", {"connection-timed-out", "transfer-stalled"}),
    ],
)
def test_before_a_command_runs(meet: Meet, mode: str, codes: set[str]) -> None:
    assert meet(mode, within=30).code in codes


@over_openssh_if_thorough
@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("wrong_magic", "unexpected-output"),
        ("escapes_instead_of_nix", "unexpected-output"),
        ("endless_output", "unexpected-output"),
        ("huge_length", "protocol-violation"),
        ("huge_list", "protocol-violation"),
        ("desync", "protocol-violation"),
        ("oversized_error", "protocol-violation"),
        ("long_error", "path-refused"),
        ("escapes_in_error", "path-refused"),
        ("escapes_in_log", "path-refused"),
        ("dripping_greeting", "transfer-stalled"),
        ("dripping_log", "transfer-stalled"),
        ("endless_log", "transfer-stalled"),
        ("never_answering", "transfer-stalled"),
        ("endless_errors", "transfer-stalled"),
        ("fat_list", "protocol-violation"),
        ("many_names", "protocol-violation"),
        ("escapes_in_version", "path-refused"),
        ("escapes_in_ssh_version", "path-refused"),
        ("odd_digits", "account-not-allowed"),
    ],
)
def test_what_a_command_does(meet: Meet, mode: str, code: str) -> None:
    ending = meet(mode, within=40)
    assert ending.code == code
    if "escapes" in mode:
        assert "visible" in ending.text


@over_both_transports
def test_a_key_that_changes_between_two_connections_ends_the_copy(meet: Meet) -> None:
    # The first session ends at once, and only then the server changes its key: another
    # connection is made, by a second attempt or before the first has begun, and checked anew.
    assert meet("changing_key", within=40).code == "host-key-changed"


@pytest.mark.parametrize("mode", ["escapes_in_version", "escapes_in_ssh_version"])
def test_the_doctor_prints_no_control_characters(
    lab: Lab, hostile: Callable[[str], str], mode: str
) -> None:
    command = ["nix-remote", "doctor", hostile(mode), "--not-exported"]
    env = {"NIX_REMOTE_STALL_TIMEOUT": "2"}
    done = lab.workstation.run(command, env=env, timeout=60)
    assert "visible" in done.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.text)
    assert "Traceback" not in done.text


@pytest.mark.parametrize("mode", ["wrong_magic", "endless_output", "dripping_greeting"])
def test_the_serve_protocol_is_no_softer(meet: Meet, mode: str) -> None:
    assert meet(mode, within=40, protocol="serve").code in ("unexpected-output", "transfer-stalled")
