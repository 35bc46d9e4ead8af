"""What every invocation does first: asks whoever serves this user, or becomes the one who does.

Bazel starts one of these per package, so it imports next to nothing, nothing
of nix_remote, and runs with `python -I -S`. PROTOCOL.md says what it relies on.

    python -I -S thin_client.py PROGRAM COMMAND...    PROGRAM is the full program, for what it cannot do
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` takes longer to load
import _socket
import fcntl
import os
import sys
import time

TYPE_CHECKING = False  # importing `typing` would take longer than the rest
if TYPE_CHECKING:
    from typing import Final, Optional, Sequence, Union

PROTOCOL: Final = 1
VERSION: Final = "0.1.0"
"""Of nix_remote. Agents and clients of different versions do not work together."""

HELLO: Final = b"H"
RUN: Final = b"R"
CANCEL: Final = b"C"
TELL: Final = b"T"
STOP: Final = b"S"
DECLINED: Final = b"D"
ERROR_TEXT: Final = b"E"
OUTPUT_TEXT: Final = b"O"
FILE: Final = b"F"
ALIVE: Final = b"A"
EXIT: Final = b"X"

LARGEST_FRAME: Final = 16 * 1024 * 1024
SILENCE: Final = 30.0
"""Seconds without any frame after which a client gives the agent up; see `server.ALIVE_EVERY`."""
_START_UP: Final = 20.0
"""Seconds for whoever holds the lock to listen."""
_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.1
_LOSSES: Final = 30
"""How often whoever serves may go away before a client does its work itself."""
_CANCEL_PATIENCE: Final = 5.0
_BACKLOG: Final = 256
_LONGEST_ADDRESS: Final = 100
_INTERRUPTED: Final = 130
_CREDENTIALS: Final = 12
"""Bytes of `struct ucred`: process, user, group."""

SOCKET_NAME: Final = "agent.socket"
LOCK_NAME: Final = "agent.lock"


class Unusable(Exception):
    """There is no agent to be had; the work can be done without one."""


class Lost(Exception):
    """Whoever served has gone without an answer. Somebody else has to."""


class Lead:
    """The lock and the socket of the one who serves: the others wait on it."""

    def __init__(self, folder: str, lock: int, listener: _socket.socket) -> None:
        self.folder = folder
        self.lock = lock
        self.listener = listener


def folder() -> str:
    """The private folder of the agent's socket and lock; made if it is not there.

    Raises `Unusable` if it would not be private.
    """
    user = os.getuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    for base in (runtime, f"/run/user/{user}"):
        if base.startswith("/") and _is_private(base, user):
            name = f"{base}/nix-remote"
            break
    else:
        name = f"/tmp/nix-remote-{user}"
    try:
        os.mkdir(name, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise Unusable(f"{name}: {error.strerror}") from None
    if not _is_private(name, user):
        raise Unusable(f"{name} is not a private folder of this user")
    if len(os.fsencode(name)) > _LONGEST_ADDRESS - len(SOCKET_NAME):
        raise Unusable(f"{name} is too long for the address of a socket")
    return name


def _is_private(name: str, user: int) -> bool:
    try:
        status = os.lstat(name)
    except OSError:
        return False
    return status.st_mode & 0o170077 == 0o040000 and status.st_uid == user


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """A message: its kind, its length, its content."""
    return kind + len(payload).to_bytes(4, "big") + payload


def hello() -> bytes:
    """The first message of both sides."""
    return frame(HELLO, b"nix-remote %d %s" % (PROTOCOL, VERSION.encode()))


def run_request(arguments: Sequence[str], *, terminal: bool) -> bytes:
    """The message that asks for a command of the command line to be run."""
    fields = [b"1" if terminal else b"0", os.fsencode(os.getcwd()), b"%d" % len(arguments)]
    fields += [os.fsencode(each) for each in arguments]
    fields += [name + b"=" + value for name, value in os.environb.items()]
    return frame(RUN, b"\0".join(fields))


def connect(name: str) -> Optional[_socket.socket]:
    """A connection to whoever serves in that folder; None if nobody does.

    Raises `Unusable` if it is somebody else, or does not answer.
    """
    try:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    except OSError as error:
        raise Unusable(str(error)) from None
    connection.settimeout(SILENCE)
    try:
        connection.connect(f"{name}/{SOCKET_NAME}")
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise Unusable(str(error)) from None
    if peer(connection)[1] != os.getuid():
        connection.close()
        raise Unusable("the agent belongs to another user")
    return connection


def peer(connection: _socket.socket) -> tuple[int, int]:
    """Process and user at the other end."""
    told = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS)
    return int.from_bytes(told[0:4], sys.byteorder), int.from_bytes(told[4:8], sys.byteorder)


class Conversation:
    """Frames from a connection."""

    def __init__(self, connection: _socket.socket) -> None:
        self._connection = connection
        self._pending = b""

    def send(self, data: bytes) -> None:
        """Sends all. Raises `Lost` and `Unusable`."""
        try:
            self._connection.sendall(data)
        except _socket.timeout:
            raise Unusable("the agent does not read") from None
        except OSError:
            raise Lost from None

    def receive(self) -> tuple[bytes, bytes]:
        """The next frame: kind and content. Raises `Lost` and `Unusable`."""
        head = self._take(5)
        length = int.from_bytes(head[1:], "big")
        if length > LARGEST_FRAME:
            raise Unusable("what the agent sends makes no sense")
        return head[:1], self._take(length)

    def check_greeting(self) -> None:
        """Takes the other side's first frame. Raises `Unusable` if it is of another version."""
        kind, said = self.receive()
        if frame(kind, said) != hello():
            raise Unusable(f"the agent is of another version: {said.decode(errors='replace')}")

    def _take(self, count: int) -> bytes:
        while len(self._pending) < count:
            try:
                data = self._connection.recv(65536)
            except _socket.timeout:
                raise Unusable(f"the agent has said nothing for {SILENCE:g} s") from None
            except OSError:
                raise Lost from None
            if not data:
                raise Lost
            self._pending += data
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken


def ask(connection: _socket.socket, request: bytes) -> int:
    """Has a request carried out; passes on what is said meanwhile. Returns its exit status.

    Raises `Lost`, and `Unusable` if the one who serves cannot do it.
    """
    conversation = Conversation(connection)
    try:
        conversation.send(hello() + request)
    except Lost:
        # A process that cannot take a request may have declined it before it was sent.
        conversation.check_greeting()
        kind, content = conversation.receive()
        if kind == DECLINED:
            raise Unusable(content.decode(errors="replace")) from None
        raise
    conversation.check_greeting()
    try:
        return _follow(conversation)
    except KeyboardInterrupt:
        # What an interruption looks like, the other side knows; it has to be quick about it.
        connection.settimeout(_CANCEL_PATIENCE)
        try:
            conversation.send(frame(CANCEL))
            return _follow(conversation)
        except (Lost, Unusable):
            return _INTERRUPTED


_UNWRITABLE: Final = 2
"""Exit status of a client that could not write a file: that of `file-unwritable`."""


def _follow(conversation: Conversation) -> int:
    status = 0
    while True:
        kind, content = conversation.receive()
        if kind == EXIT:
            if not content.isdigit() or len(content) > 3:
                raise Unusable("what the agent sends makes no sense")
            return int(content) or status
        if kind == DECLINED:
            raise Unusable(content.decode(errors="replace"))
        if kind == ERROR_TEXT:
            _write(2, content)
        elif kind == OUTPUT_TEXT:
            _write(1, content)
        elif kind == FILE:
            name, _, text = content.partition(b"\0")
            try:
                write_file(os.fsdecode(name), text)
            except OSError as error:
                status = _UNWRITABLE
                why = f"nix-remote: {os.fsdecode(name)} cannot be written: {error.strerror}\n"
                _write(2, os.fsencode(why))
        elif kind != ALIVE:
            raise Unusable("what the agent sends makes no sense")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def write_file(name: str, content: bytes) -> None:
    """Puts a file in its place at once, complete; makes the folder for it.

    What is no file, such as a device, is written to. Raises `OSError`.
    """
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    try:
        if os.stat(name).st_mode & 0o170000 != 0o100000:
            _write_to(os.open(name, os.O_WRONLY | os.O_CLOEXEC), content)
            return
    except FileNotFoundError:
        pass
    draft = f"{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        _write_to(os.open(draft, flags, 0o666), content)
        os.rename(draft, name)
    except OSError:
        if os.path.lexists(draft):
            os.unlink(draft)
        raise


def _write_to(descriptor: int, content: bytes) -> None:
    try:
        _write(descriptor, content)
    finally:
        os.close(descriptor)


def try_to_lead(name: str) -> Optional[Lead]:
    """Makes this process the one who serves in that folder; None if another one is.

    The lock dies with the process that holds it, so what it leaves behind is known to be stale.
    """
    lock = os.open(f"{name}/{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    listener = None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A service manager listens without the lock, and starts an agent when a client comes.
        manager = connect(name)
        if manager is None:
            listener = listen(name)
        else:
            manager.close()
    except BlockingIOError:
        pass
    finally:
        # The others wait for the holder of the lock to listen.
        if listener is None:
            os.close(lock)
    return None if listener is None else Lead(name, lock, listener)


def listen(name: str) -> _socket.socket:
    """Listens in that folder, in place of whoever did before."""
    address = f"{name}/{SOCKET_NAME}"
    if os.path.lexists(address):
        os.unlink(address)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def hand_over(lead: Lead) -> str:
    """Lets the lead outlive this program in its process; `taken_over` understands the text."""
    listener = lead.listener.detach()
    for descriptor in (lead.lock, listener):
        os.set_inheritable(descriptor, True)
    return f"{lead.lock},{listener},{lead.folder}"


def taken_over(text: str) -> Lead:
    """The lead that the program before us in this process had. Raises `Unusable`."""
    try:
        lock, listener, name = text.split(",", 2)
        descriptors = int(lock), int(listener)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return Lead(name, descriptors[0], _socket.socket(fileno=descriptors[1]))
    except (OSError, ValueError) as error:
        raise Unusable(str(error)) from None


def obtain(arguments: Sequence[str]) -> Union[int, Lead]:
    """Has a command run by whoever serves; returns its exit status, or the lead if nobody does.

    Raises `Unusable` if it has to be done alone.
    """
    name = folder()
    try:
        request = run_request(arguments, terminal=os.isatty(2))
    except OSError as error:  # the working folder is gone
        raise Unusable(str(error)) from None
    losses = 0
    pause = _PAUSE
    deadline = time.monotonic() + _START_UP
    while True:
        try:
            connection = connect(name)
            if connection is not None:
                try:
                    return ask(connection, request)
                finally:
                    connection.close()
            lead = try_to_lead(name)
        except Lost:
            losses += 1
            if losses == _LOSSES:
                raise Unusable("those who served went away, one after the other") from None
            pause = _PAUSE
            deadline = time.monotonic() + _START_UP
            continue
        except OSError as error:
            raise Unusable(str(error)) from None
        if lead is not None:
            return lead
        if time.monotonic() > deadline:
            raise Unusable(f"whoever holds {name}/{LOCK_NAME} does not listen")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def main() -> int:
    """Runs a command of the command line; turns into the full program if it takes that."""
    program, *arguments = sys.argv[1:]
    if not wanted(arguments):
        return _become(program, arguments)
    _signal.signal(_signal.SIGTERM, _interrupt)
    command, *rest = arguments
    try:
        outcome = obtain(arguments)
    except Unusable:
        return _become(program, [command, "--no-agent", *rest])
    except KeyboardInterrupt:
        return _INTERRUPTED
    if isinstance(outcome, int):
        return outcome
    return _become(program, [command, f"--lead={hand_over(outcome)}", *rest])


def wanted(arguments: Sequence[str]) -> bool:
    """Whether an agent can carry out that command, and may."""
    off = os.environ.get("NIX_REMOTE_AGENT") == "off" or "--no-agent" in arguments
    return arguments[:1] == ["copy"] and not off and "--help" not in arguments


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _become(program: str, arguments: Sequence[str]) -> int:
    """Goes on as the full program, in the same process."""
    prefix = getattr(sys, "pycache_prefix", None)
    options = ["-X", f"pycache_prefix={prefix}"] if prefix else []
    os.execv(sys.executable, [sys.executable, "-I", *options, program, *arguments])
    return 1  # for the type checker: a program that became another one does not return


if __name__ == "__main__":
    sys.exit(main())
