"""Records the conversations again: `python3 -m tests.golden.capture`. As root; starts a lab."""

from __future__ import annotations

import select
import subprocess
import sys
from typing import Any

from lab.host import Host
from lab.lab import Lab
from lab.nix import Version
from nix_remote.protocol.conversation import Event, Logged
from tests.golden.script import PROTOCOLS, Recording, begin, describe

_COMMANDS = {
    "worker": ["nix-daemon", "--stdio"],
    "serve": ["nix-store", "--serve", "--write"],
}
_SILENCE = 20.0


def capture(host: Host, protocol: str, version: str) -> Recording:
    """Holds the conversation with the Nix of a host, one step at a time."""
    conversation, steps = begin(protocol, version)
    process = subprocess.Popen(
        host.enter(_COMMANDS[protocol], {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    sent, received = bytearray(), bytearray()
    events: list[Event[Any]] = []

    def send(data: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(data)
        sent.extend(data)

    def receive_until_answered(wanted: int) -> None:
        assert process.stdout is not None
        while sum(not isinstance(event, Logged) for event in events) < wanted:
            ready, _, _ = select.select([process.stdout], [], [], _SILENCE)
            if not ready:
                raise TimeoutError(f"{protocol} {version}: silence after {events}")
            data = process.stdout.read(65536)
            if not data:
                raise EOFError(f"{protocol} {version}: the end after {events}")
            received.extend(data)
            events.extend(conversation.receive(data))

    try:
        send(conversation.greeting())
        receive_until_answered(1)
        answered = 1
        for number, step in enumerate(steps):
            if isinstance(step, bytes):
                send(step)
            else:
                send(conversation.request(step))
                answered += 1
            followed = number + 1 < len(steps) and isinstance(steps[number + 1], bytes)
            if not followed:
                receive_until_answered(answered)
    finally:
        process.kill()
        process.wait()
    return Recording(protocol, version, bytes(sent), bytes(received), tuple(map(describe, events)))


def main() -> None:
    """Records all of them."""
    lab = Lab("golden", lambda text: print(text, file=sys.stderr))
    try:
        lab.open()
        for release in Version:
            host = lab.server_with(release)
            version = host.sh("nix --version").split()[-1]
            for protocol in PROTOCOLS:
                # A store without the paths of the other protocol's session.
                host.sh("rm -f /root/golden-root; nix-store --gc >/dev/null 2>&1")
                capture(host, protocol, version).save()
                print(f"{protocol} {version}")
    finally:
        lab.down()


if __name__ == "__main__":
    main()
