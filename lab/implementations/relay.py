"""Programs of Nix that answer as another release, in front of the real ones. Runs on a server.

    relay.py FILE nix-daemon --stdio        the worker protocol, in front of the daemon that runs
    relay.py FILE nix-store ARGUMENTS...    in front of /usr/bin/nix-store

FILE is what `replay.py` has written: protocol versions, the version in the greeting, what
`--version` prints, what the release can do, and its words for those of the real Nix.

Requests of the worker protocol are read one at a time, passed on, and answered before the next one
is read; requests that the copier does not make are refused. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, Callable, Mapping

REAL = "/usr/bin"
WORKER_MAGICS = 0x6E697863, 0x6478696F
SERVE_MAGICS = 0x390C9DEB, 0x5452EECB
DAEMON_PROTOCOL = 0x125
"""What is spoken with the real daemon: without a negotiation of features."""
LAST, ERROR = 0x616C7473, 0x63787470
LINE, START, STOP, RESULT = 0x6F6C6D67, 0x53545254, 0x53544F50, 0x52534C54
ADD_TEMP_ROOT, ADD_INDIRECT_ROOT, ADD_TO_STORE, ADD_PERM_ROOT = 11, 12, 39, 47


def number(value: int) -> bytes:
    return struct.pack("<Q", value)


def text(value: str) -> bytes:
    data = value.encode(errors="surrogateescape")
    return number(len(data)) + data + bytes(-len(data) % 8)


class Profile:
    """The release that is answered for."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.socket: str = fields["socket"]
        self.worker: int = fields["worker"]
        self.serve: int = fields["serve"]
        self.greeting: str = fields["greeting"]
        self.printed: str = fields["printed"]
        self.decodes: bool = fields["decodes"]
        self.asks_once: bool = fields["asks_once"]
        self.hangs_up: str = fields["hangs_up"]
        self._words = [(re.compile(old), new) for old, new in fields["words"]]

    def say(self, said: str) -> str:
        """What the release says instead of what the real Nix has said."""
        for old, new in self._words:
            said = old.sub(new, said)
        return said


class Reader:
    """Reads values, and keeps their bytes until `taken` is called."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._kept = bytearray()

    def taken(self) -> bytes:
        kept, self._kept = bytes(self._kept), bytearray()
        return kept

    def raw(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise EOFError
        self._kept += data
        return data

    def number(self) -> int:
        value: int = struct.unpack("<Q", self.raw(8))[0]
        return value

    def text(self) -> str:
        size = self.number()
        data = self.raw(size)
        self.raw(-size % 8)
        return data.decode(errors="surrogateescape")

    def texts(self) -> None:
        for _ in range(self.number()):
            self.text()

    def numbers(self, count: int) -> None:
        for _ in range(count):
            self.number()


def read_fields(reader: Reader) -> None:
    for _ in range(reader.number()):
        if reader.number() == 0:
            reader.number()
        else:
            reader.text()


def read_path_info(reader: Reader) -> None:
    reader.text()
    reader.text()
    reader.texts()
    reader.numbers(3)
    reader.texts()
    reader.text()


def read_optional_path_info(reader: Reader) -> None:
    if reader.number():
        read_path_info(reader)


def read_added_path(reader: Reader) -> None:
    reader.text()
    read_path_info(reader)
    reader.numbers(2)


def read_collection(reader: Reader) -> None:
    reader.number()
    reader.texts()
    reader.numbers(5)


def read_collected(reader: Reader) -> None:
    reader.texts()
    reader.numbers(2)


def read_query(reader: Reader) -> None:
    reader.texts()
    reader.number()


def read_roots(reader: Reader) -> None:
    for _ in range(reader.number()):
        reader.text()
        reader.text()


def nothing(reader: Reader) -> None:
    pass


Read = Callable[[Reader], object]

REQUESTS: Mapping[int, tuple[Read, Read]] = {
    11: (Reader.text, Reader.number),  # AddTempRoot
    12: (Reader.text, Reader.number),  # AddIndirectRoot
    14: (nothing, read_roots),  # FindRoots
    20: (read_collection, read_collected),
    26: (Reader.text, read_optional_path_info),
    31: (read_query, Reader.texts),
    39: (read_added_path, nothing),
}


class WorkerRelay:
    """One session of the worker protocol."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._temporary_roots: set[str] = set()
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(profile.socket)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            said = f"cannot connect to socket at '{profile.socket}': {why}"
            sys.exit(f"error: {profile.say(said)}")
        self._daemon = connection.makefile("wb")
        self._answers = Reader(connection.makefile("rb"))
        self._client = sys.stdout.buffer
        self._requests = Reader(sys.stdin.buffer)
        trust = self._greet_daemon()
        self._greet_client(trust)

    def _greet_daemon(self) -> int:
        """Returns what the daemon says of trust."""
        self._to_daemon(*map(number, (WORKER_MAGICS[0], DAEMON_PROTOCOL, 0, 0)))
        try:
            assert self._answers.number() == WORKER_MAGICS[1]
        except (EOFError, ConnectionResetError):
            sys.exit(f"error: {self._profile.hangs_up}" if self._profile.hangs_up else 1)
        protocol = self._answers.number()
        if protocol >= 0x121:
            self._answers.text()
        trust = self._answers.number() if protocol >= 0x123 else 0
        self._answers.taken()
        self._read_messages()
        self._answers.taken()
        return trust

    def _greet_client(self, trust: int) -> None:
        self._requests.number()
        # The client's version may come behind this one.
        self._to_client(number(WORKER_MAGICS[1]), number(self._profile.worker))
        spoken = min(self._requests.number(), self._profile.worker)
        assert spoken < 0x126, "features are not negotiated"
        self._requests.numbers(2)
        version = [text(self._profile.greeting)] if spoken >= 0x121 else []
        trusts = [number(trust)] if spoken >= 0x123 else []
        self._to_client(*version, *trusts, number(LAST))

    def _to_client(self, *parts: bytes) -> None:
        self._client.write(b"".join(parts))
        self._client.flush()

    def _to_daemon(self, *parts: bytes) -> None:
        self._daemon.write(b"".join(parts))
        self._daemon.flush()

    def serve(self) -> None:
        while True:
            self._requests.taken()
            operation = self._requests.number()
            if operation == ADD_PERM_ROOT and self._profile.decodes:
                self._add_perm_root()
            elif operation in REQUESTS:
                self._pass_on(operation)
            else:
                # It cannot tell where the next request begins.
                self._refuse(f"invalid operation {operation}")
                return

    def _pass_on(self, operation: int) -> None:
        read_request, read_reply = REQUESTS[operation]
        asked = read_request(self._requests)
        if operation == ADD_TEMP_ROOT and self._has(str(asked)):
            self._to_client(number(LAST), number(1))
            return
        self._to_daemon(self._requests.taken())
        if operation == ADD_TO_STORE:
            self._pass_frames()
        failure = self._read_messages()
        if failure is not None:
            self._refuse(failure)
            return
        read_reply(self._answers)
        self._to_client(self._answers.taken())

    def _read_messages(self) -> str | None:
        """Reads what the daemon says before its reply; the words of its failure, if it is one.

        What came before a failure is passed on.
        """
        answers = self._answers
        while True:
            said = answers.taken()
            kind = answers.number()
            if kind == ERROR:
                answers.taken()
                self._to_client(said)
                return self._read_failure()
            if kind == LINE:
                answers.text()
            elif kind == START:
                answers.numbers(3)
                answers.text()
                read_fields(answers)
                answers.number()
            elif kind == STOP:
                answers.number()
            elif kind == RESULT:
                answers.numbers(2)
                read_fields(answers)
            elif kind != LAST:
                raise ValueError(f"message {kind:#x}")
            self._to_client(said)
            if kind == LAST:
                return None

    def _read_failure(self) -> str:
        answers = self._answers
        answers.text()
        answers.number()
        answers.text()
        said = answers.text()
        answers.number()
        for _ in range(answers.number()):
            answers.number()
            answers.text()
        answers.taken()
        return said

    def _refuse(self, said: str) -> None:
        words = (text("Error"), number(0), text("Error"), text(self._profile.say(said)))
        self._to_client(number(ERROR), *words, number(0), number(0))

    def _has(self, path: str) -> bool:
        had = path in self._temporary_roots
        self._temporary_roots.add(path)
        return had and self._profile.asks_once

    def _pass_frames(self) -> None:
        size = -1
        while size:
            size = self._requests.number()
            self._requests.raw(size)
            self._to_daemon(self._requests.taken())

    def _ask(self, operation: int, argument: str) -> None:
        self._to_daemon(number(operation), text(argument))
        failure = self._read_messages()
        if failure is not None:
            raise OSError(failure)
        self._answers.number()
        self._answers.taken()

    def _add_perm_root(self) -> None:
        path, link = self._requests.text(), os.path.abspath(self._requests.text())
        try:
            if not self._has(path):
                self._ask(ADD_TEMP_ROOT, path)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(path, f"{link}.tmp")
            os.rename(f"{link}.tmp", link)
            self._ask(ADD_INDIRECT_ROOT, link)
        except OSError as error:
            self._refuse(str(error))
        else:
            self._to_client(number(LAST), text(link))


def run_program(profile: Profile, program: str, arguments: list[str]) -> int:
    """Runs the real program; what it says on standard error is said as the release does."""
    if "--version" in arguments:
        print(profile.printed)
        return 0
    serves = "--serve" in arguments
    real = subprocess.Popen(
        [f"{REAL}/{program}", *arguments],
        stdin=subprocess.PIPE if serves else None,
        stdout=subprocess.PIPE if serves else None,
        stderr=subprocess.PIPE,
    )
    assert real.stderr is not None
    threads = [threading.Thread(target=pass_words, args=(profile, real.stderr))]
    if serves:
        assert real.stdin is not None
        assert real.stdout is not None
        greet_over_serve(profile, real.stdin, real.stdout)
        client = threading.Thread(
            target=pass_bytes, args=(sys.stdin.buffer, real.stdin), daemon=True
        )
        client.start()
        threads.append(threading.Thread(target=pass_bytes, args=(real.stdout, sys.stdout.buffer)))
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return real.wait()


def greet_over_serve(profile: Profile, to_real: IO[bytes], from_real: IO[bytes]) -> None:
    """Both greetings of the serve protocol, with the lower one of the versions."""
    requests, replies = Reader(sys.stdin.buffer), Reader(from_real)
    assert requests.number() == SERVE_MAGICS[0]
    spoken = min(requests.number(), profile.serve)
    to_real.write(number(SERVE_MAGICS[0]) + number(spoken))
    to_real.flush()
    assert replies.number() == SERVE_MAGICS[1]
    replies.number()
    sys.stdout.buffer.write(number(SERVE_MAGICS[1]) + number(profile.serve))
    sys.stdout.buffer.flush()


def pass_bytes(source: IO[bytes], target: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError), target:
        while data := source.read1(65536):  # type: ignore[attr-defined]
            target.write(data)
            target.flush()


def pass_words(profile: Profile, source: IO[bytes]) -> None:
    for line in source:
        sys.stderr.write(profile.say(line.decode(errors="replace")))
        sys.stderr.flush()


def main() -> int:
    file, program, *arguments = sys.argv[1:]
    profile = Profile(json.loads(Path(file).read_text()))
    if program != "nix-daemon" or arguments != ["--stdio"]:
        return run_program(profile, program, arguments)
    with contextlib.suppress(EOFError, BrokenPipeError):
        WorkerRelay(profile).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
