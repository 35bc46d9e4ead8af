"""The lifetime of an agent: its start, its idle timeout, its orderly stop; also its log.

Not here: what it does for clients (`server.py`, `copy_queue.py`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Final, Optional

from nix_remote.agent.server import Server
from nix_remote.agent.thin_client import connecting, framing

_POLL_INTERVAL: Final = 0.2
_CONNECT_INTERVAL: Final = 0.02
_EXIT_TIMEOUT: Final = 5.0
"""Seconds for the process to exit after it has answered that it is done."""
_LOG_SIZE: Final = 1_000_000
"""Bytes."""
_OLD_LOGS: Final = 2


class _Log(logging.handlers.RotatingFileHandler):
    """A log that drops lines it cannot write: no copy fails because of the log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def open_log(given: str) -> Callable[[str], None]:
    """Opens the log in the state folder; returns a function that adds a line.

    `given` is XDG_STATE_HOME.
    """
    logger = logging.getLogger("nix_remote.agent")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        folder = _state_folder(given)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _Log(
            folder / "agent.log", maxBytes=_LOG_SIZE, backupCount=_OLD_LOGS, errors="replace"
        )
    except (OSError, RuntimeError):  # `Path.home` raises the latter without a home folder
        return lambda _: None
    handler.setFormatter(logging.Formatter("%(asctime)s [%(process)d] %(message)s"))
    logger.addHandler(handler)
    return logger.info


class Lifetime:
    """How long an agent runs: until it is asked to stop, or has had no client for a while."""

    def __init__(self, idle: float) -> None:
        """`idle` in seconds."""
        self._idle = idle
        self._stopping = threading.Event()
        self.finished = threading.Event()
        """Set once everything is done."""

    def stop(self) -> None:
        """Asks the agent to stop."""
        self._stopping.set()

    def stop_and_wait(self) -> None:
        """Asks the agent to stop, and returns when it has finished."""
        self.stop()
        self.finished.wait()

    def handle_signals(self) -> None:
        """The first SIGTERM or SIGINT asks for an orderly stop; the second one interrupts."""

        def handle(_number: int, _frame: Optional[FrameType]) -> None:
            if self._stopping.is_set():
                raise KeyboardInterrupt
            self.stop()

        signal.signal(signal.SIGTERM, handle)
        signal.signal(signal.SIGINT, handle)

    def wait(self, server: Server, periodically: Callable[[], object]) -> str:
        """Returns when it is over, with the reason. Calls `periodically` meanwhile."""
        while not self._stopping.wait(_POLL_INTERVAL):
            periodically()
            if server.idle_seconds > self._idle:
                return f"no client for {self._idle:g} s"
            if server.socket_lost:
                return "its folder was removed or replaced"
        return "asked to stop"


def own_command(*arguments: str) -> list[str]:
    """A command that runs this same program with other arguments."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        "from nix_remote.cli.main import main; sys.exit(main())"
    )
    prefix = [f"-Xpycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
    return [sys.executable, "-I", *prefix, "-c", code, *arguments]


def wait_for_server(folder: str, seconds: float) -> bool:
    """Whether a process serves within that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            connection = connecting.connect(folder)
        except framing.Unusable:
            return False
        if connection is not None:
            connection.close()
            return True
        time.sleep(_CONNECT_INTERVAL)
    return False


def query_status(folder: str) -> Optional[dict[str, Any]]:
    """The status of the process that serves; None if none does.

    Raises `Unusable` and `Lost`.
    """
    text = _request(folder, framing.STATUS)
    return None if text is None else json.loads(text)


def is_lead(status: Optional[dict[str, Any]]) -> bool:
    """Whether the serving process is a lead, which serves as long as its own copy lasts."""
    return status is not None and status["kind"] == "lead"


def stop(folder: str, process: int) -> None:
    """Stops the process that serves in an orderly way; returns when it has exited.

    Raises `Unusable`.
    """
    with contextlib.suppress(framing.Lost):
        _request(folder, framing.STOP)
    deadline = time.monotonic() + _EXIT_TIMEOUT
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(_CONNECT_INTERVAL)


def _request(folder: str, kind: bytes) -> Optional[bytes]:
    connection = connecting.connect(folder)
    if connection is None:
        return None
    text = b""
    conversation = framing.Conversation(connection)
    conversation.send(framing.hello() + framing.frame(kind))
    conversation.check_greeting()
    while True:
        kind, content = conversation.receive()
        if kind == framing.OUTPUT_TEXT:
            text += content
        elif kind == framing.DECLINED:
            raise framing.Unusable(content.decode(errors="replace"))
        elif kind == framing.EXIT:
            return text


def _state_folder(given: str) -> Path:
    return (Path(given) if os.path.isabs(given) else Path.home() / ".local/state") / "nix-remote"
