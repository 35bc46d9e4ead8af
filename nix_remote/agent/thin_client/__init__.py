"""What every invocation does first: asks the process that serves this user, or begins to serve.

Bazel starts one of these for each package, so it imports very little, nothing
of nix_remote, and runs with `python -I -S`. PROTOCOL.md says what it relies on.

The launcher puts the folder of this package on `sys.path` and calls `main`:

    python -I -S -c '… import thin_client; sys.exit(thin_client.main())' PROGRAM COMMAND...

PROGRAM is the full program, for everything that an agent cannot do. The modules import each other
relatively, since the name of the package in the full program is `nix_remote.agent.thin_client`.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` takes longer to load
import os
import sys
import time

from .connecting import LOCK_NAME, connect, folder
from .framing import (
    ALIVE,
    CANCEL,
    DECLINED,
    ERROR_TEXT,
    EXIT,
    FILE,
    OUTPUT_TEXT,
    RUN,
    Conversation,
    Lost,
    Unusable,
    frame,
    hello,
)

TYPE_CHECKING = False  # importing `typing` would take longer than the rest
if TYPE_CHECKING:
    import _socket
    from typing import Final, Sequence, Union

    from .leadership import Lead

_START_UP: Final = 20.0
"""Seconds for the holder of the lock to listen."""
_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.1
_LOSSES: Final = 30
"""How often a serving process may end before a client does its work alone."""
_CANCEL_PATIENCE: Final = 5.0
"""Seconds for the serving process to confirm a cancellation."""
_INTERRUPTED: Final = 130
"""Exit status of an invocation that a signal has ended."""
_UNWRITABLE: Final = 2
"""Exit status of a client that could not write a file: that of `file-unwritable`."""


def main() -> int:
    """Runs a command of the command line; becomes the full program if necessary."""
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
    from .leadership import hand_over

    return _become(program, [command, f"--lead={hand_over(outcome)}", *rest])


def wanted(arguments: Sequence[str]) -> bool:
    """Whether an agent can and may run that command."""
    off = os.environ.get("NIX_REMOTE_AGENT") == "off" or "--no-agent" in arguments
    return arguments[:1] == ["copy"] and not off and "--help" not in arguments


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _become(program: str, arguments: Sequence[str]) -> int:
    """Executes the full program in this process."""
    prefix = getattr(sys, "pycache_prefix", None)
    options = ["-X", f"pycache_prefix={prefix}"] if prefix else []
    os.execv(sys.executable, [sys.executable, "-I", *options, program, *arguments])
    return 1  # for the type checker: `execv` does not return


def obtain(arguments: Sequence[str]) -> Union[int, Lead]:
    """Has the serving process run a command; returns its exit status, or the lead if none serves.

    Raises `Unusable` if the command has to be run alone.
    """
    name = folder()
    try:
        request = run_request(arguments, terminal=os.isatty(2))
    except OSError as error:  # the working folder was removed
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
            from .leadership import try_to_lead  # rarely needed, and Bazel waits for each start

            lead = try_to_lead(name)
        except Lost:
            losses += 1
            if losses == _LOSSES:
                raise Unusable(f"{losses} serving processes ended without an answer") from None
            pause = _PAUSE
            deadline = time.monotonic() + _START_UP
            continue
        except OSError as error:
            raise Unusable(str(error)) from None
        if lead is not None:
            return lead
        if time.monotonic() > deadline:
            raise Unusable(f"the holder of {name}/{LOCK_NAME} does not listen")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def run_request(arguments: Sequence[str], *, terminal: bool) -> bytes:
    """The message that asks the serving process to run a command."""
    fields = [b"1" if terminal else b"0", os.fsencode(os.getcwd()), b"%d" % len(arguments)]
    fields += [os.fsencode(each) for each in arguments]
    fields += [name + b"=" + value for name, value in os.environb.items()]
    return frame(RUN, b"\0".join(fields))


def ask(connection: _socket.socket, request: bytes) -> int:
    """Sends a request and prints the texts of the answer. Returns the exit status.

    Raises `Lost`, and `Unusable` if the serving process declines.
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
        # The serving process renders the error text; it has a few seconds for that.
        connection.settimeout(_CANCEL_PATIENCE)
        try:
            conversation.send(frame(CANCEL))
            return _follow(conversation)
        except (Lost, Unusable):
            return _INTERRUPTED


def _follow(conversation: Conversation) -> int:
    status = 0
    while True:
        kind, content = conversation.receive()
        if kind == EXIT:
            if not content.isdigit() or len(content) > 3:
                raise Unusable("the agent sent an invalid frame")
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
            raise Unusable("the agent sent an invalid frame")


def write_file(name: str, content: bytes) -> None:
    """Writes a file atomically; makes its folder if necessary.

    A name that is not a regular file, such as a device, is opened and written to. Raises `OSError`.
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


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
