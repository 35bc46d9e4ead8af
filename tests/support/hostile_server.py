"""A malicious SSH server: `hostile_server.py MODE PORT KEY`, on the loopback address.

It accepts every login. The function named after the mode is what it does instead of
serving. Runs alone: it needs only paramiko.
"""

from __future__ import annotations

import itertools
import socket
import struct
import sys
import threading
from typing import Callable, Iterator

import paramiko

WAIT = threading.Event().wait
ENDLESS_LINE = b"x" * 65536
CHUNK = bytes(65536)


def number(value: int) -> bytes:
    return struct.pack("<Q", value)


def text(value: bytes) -> bytes:
    return number(len(value)) + value + bytes(-len(value) % 8)


SERVED = threading.Event()
ASKED = threading.Event()
GREETED_WITH = 32
"""Bytes that a client sends before it asks anything."""


def until_asked() -> None:
    ASKED.wait(600)
    WAIT(0.5)  # the rest of the questions


LAST = number(0x616C7473)
GREETING = number(0x6478696F) + number(0x126) + text(b"2.34.8") + number(1) + LAST
ASKED_FIRST = 6
"""At least as many questions: a temporary root for the top path, and which paths are valid."""
LOCKS = 1
ASKED_ABOUT = 5
ESCAPES = b"\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\x9b1m\r\x08\x00visible"


def failure(message: bytes) -> bytes:
    fields = (text(b"Error"), number(0), text(b"Error"), text(message), number(0), number(0))
    return number(0x63787470) + b"".join(fields)


# Before SSH: what goes out on the bare connection, piece by piece.


def endless_banner() -> Iterator[bytes]:
    yield from itertools.repeat(b"you are number seven in the queue\r\n" * 1000)


def endless_line() -> Iterator[bytes]:
    yield from itertools.repeat(ENDLESS_LINE)


def dripping_banner() -> Iterator[bytes]:
    for byte in itertools.cycle(b"wait a moment\r\n"):
        yield bytes([byte])
        WAIT(0.3)


def escapes_in_banner() -> Iterator[bytes]:
    yield ESCAPES + b"\r\n"


def huge_packet() -> Iterator[bytes]:
    yield b"SSH-2.0-OpenSSH_9.9\r\n" + struct.pack(">I", 0x7FFFFFF4) + b"\x04"
    yield from itertools.repeat(CHUNK)


def silence() -> Iterator[bytes]:
    WAIT(600)
    yield b""


def silence_after_banner() -> Iterator[bytes]:
    yield b"SSH-2.0-OpenSSH_9.9\r\n"
    WAIT(600)


# After login: what a command prints. The client's own words are read and thrown away.


def wrong_magic() -> Iterator[bytes]:
    yield number(0xDEADBEEF) * 100


def huge_length() -> Iterator[bytes]:
    yield number(0x6478696F) + number(0x126) + number(2**63)
    yield from itertools.repeat(CHUNK)


def huge_list() -> Iterator[bytes]:
    yield GREETING + (LAST + number(1)) * 2
    yield LAST + number(2**40)
    yield from itertools.repeat(CHUNK)


def endless_log() -> Iterator[bytes]:
    yield GREETING
    yield from itertools.repeat((number(0x6F6C6D67) + text(b"still at it\n")) * 1000)


def desync() -> Iterator[bytes]:
    yield GREETING + (LAST + number(1)) * 1000 + b"\x01" * 10_000


def oversized_error() -> Iterator[bytes]:
    yield GREETING + failure(b"A" * 50_000_000)


def long_error() -> Iterator[bytes]:
    yield GREETING
    until_asked()
    yield failure(b"A" * 1_000_000) * ASKED_FIRST
    WAIT(600)


def escapes_in_error() -> Iterator[bytes]:
    yield GREETING
    until_asked()
    yield failure(ESCAPES) * ASKED_FIRST
    WAIT(600)


def escapes_in_log() -> Iterator[bytes]:
    yield GREETING + number(0x6F6C6D67) + text(ESCAPES + b"\n")
    until_asked()
    yield failure(b"no") * ASKED_FIRST
    WAIT(600)


def escapes_instead_of_nix() -> Iterator[bytes]:
    yield ESCAPES * 1000


def dripping_greeting() -> Iterator[bytes]:
    for byte in GREETING[:-8] + (number(0x6F6C6D67) + text(b"a line\n")) * 10_000:
        yield bytes([byte])
        WAIT(0.3)


def dripping_log() -> Iterator[bytes]:
    yield GREETING
    while True:
        yield number(0x6F6C6D67) + text(b"still at it\n")
        WAIT(0.3)


def never_answering() -> Iterator[bytes]:
    yield GREETING
    WAIT(600)


def endless_output() -> Iterator[bytes]:
    yield from itertools.repeat(CHUNK)


def endless_errors() -> Iterator[bytes]:
    """Goes to standard error."""
    yield from itertools.repeat(b"oh dear\n" * 8192)


def changing_key() -> Iterator[bytes]:
    """Ends at once; later connections get another host key."""
    SERVED.set()
    yield GREETING


def fat_list() -> Iterator[bytes]:
    """A list of a million long names, where five were asked about."""
    yield GREETING + (LAST + number(1)) * LOCKS
    yield LAST + number(1_000_000)
    item = text(b"/nix/store/" + b"a" * 65000)
    yield from itertools.repeat(item * 16)


def many_names() -> Iterator[bytes]:
    """As many paths as were asked about, none of which was."""
    yield GREETING + (LAST + number(1)) * LOCKS
    until_asked()
    names = (b"/nix/store/" + b"0" * 31 + b"%d-x" % each for each in range(ASKED_ABOUT))
    yield LAST + number(ASKED_ABOUT) + b"".join(map(text, names))
    WAIT(600)


def escapes_in_version() -> Iterator[bytes]:
    yield (
        number(0x6478696F) + number(0x126) + text(b"2.34.8" + ESCAPES + b"\xff") + number(1) + LAST
    )
    until_asked()
    yield failure(b"no") * ASKED_FIRST
    WAIT(600)


def escapes_in_ssh_version() -> Iterator[bytes]:
    yield from escapes_in_log()


def odd_digits() -> Iterator[bytes]:
    """Nix ends at once (see `misbehave`), and the disks have a superscript of blocks left."""
    yield "disk /nix/store \u00b2 1 1 1\n\u00b2\n".encode()


BARE = {
    each.__name__: each
    for each in (
        *(endless_banner, endless_line, dripping_banner, escapes_in_banner),
        *(huge_packet, silence, silence_after_banner),
    )
}
COMMANDS = {
    each.__name__: each
    for each in (
        *(wrong_magic, huge_length, huge_list, endless_log, desync, oversized_error, long_error),
        *(escapes_in_error, escapes_in_log, escapes_instead_of_nix, dripping_greeting),
        *(dripping_log, never_answering, endless_output, endless_errors, changing_key),
        *(fat_list, many_names, odd_digits),
        *(escapes_in_version, escapes_in_ssh_version),
    )
}
NOT_STARTING = ("refusing_channels", "ignoring_channels", "escapes_in_login_banner")


class Host(paramiko.ServerInterface):
    """Accepts every login and runs every command."""

    def __init__(self, mode: str) -> None:
        self._mode = mode

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return 2 if self._mode == "escapes_in_login_banner" else 0  # "failed", "successful"

    def get_banner(self) -> tuple[str, str]:
        if self._mode == "escapes_in_login_banner":
            return (ESCAPES.decode("latin-1") + "\r\n", "en-US")
        return ("", "")

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if self._mode == "ignoring_channels":
            WAIT(600)
        if self._mode == "refusing_channels":
            return 4  # "resource shortage"
        return 0  # "open succeeded"

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        arguments = (channel, self._mode, command)
        threading.Thread(target=misbehave, args=arguments, daemon=True).start()
        return True


def misbehave(channel: paramiko.Channel, mode: str, command: bytes) -> None:
    WAIT(0.1)  # the answer to the request goes out first
    if mode == "odd_digits" and command.startswith(b"nix-"):
        channel.send_exit_status(1)
        channel.close()
        return
    send = channel.sendall_stderr if mode == "endless_errors" else channel.sendall
    threading.Thread(target=read_away, args=(channel,), daemon=True).start()
    try:
        for piece in COMMANDS[mode]():
            send(piece)
        channel.send_exit_status(0 if mode == "odd_digits" else 1)
        channel.close()
    except OSError:
        pass


def read_away(channel: paramiko.Channel) -> None:
    received = 0
    try:
        while data := channel.recv(1 << 20):
            received += len(data)
            if received > GREETED_WITH:
                ASKED.set()
    except OSError:
        pass


def serve(connection: socket.socket, mode: str, key: paramiko.PKey) -> None:
    try:
        if mode in BARE:
            for piece in BARE[mode]():
                connection.sendall(piece)
            connection.close()
            return
        transport = paramiko.Transport(connection)
        if mode == "escapes_in_ssh_version":
            # `ssh` refuses a version with a NUL.
            transport.local_version = "SSH-2.0-Open\x1b]0;owned\x07\x1b[31mvisible"
        transport.add_server_key(key)
        transport.start_server(server=Host(mode))
        transport.join()
    except (OSError, EOFError, paramiko.SSHException):
        connection.close()


def main(mode: str, port: int, key_file: str) -> None:
    """Serves until it is ended."""
    known: paramiko.PKey = paramiko.Ed25519Key.from_private_key_file(key_file)
    other: paramiko.PKey = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = listener.accept()
        key = other if mode == "changing_key" and SERVED.is_set() else known
        threading.Thread(target=serve, args=(connection, mode, key), daemon=True).start()


__all__: list[str] = []
Mode = Callable[[], Iterator[bytes]]

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
