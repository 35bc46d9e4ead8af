"""The life of an agent that stays: its beginning, its idle end, and an orderly stop.

Also its log. What it does for clients is `server.py` and `copy_queue.py`.
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

_LOOK_AROUND: Final = 0.2
_LAST_MOMENTS: Final = 5.0
_LOG_SIZE: Final = 1_000_000
_OLD_LOGS: Final = 2


class _Log(logging.handlers.RotatingFileHandler):
    """A log that is lost when it cannot be written: no copy fails because of it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def open_log(given: str) -> Callable[[str], None]:
    """A log in the state folder; returns what adds a line to it. `given` is XDG_STATE_HOME."""
    logger = logging.getLogger("nix_remote.agent")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        folder = _state_folder(given)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _Log(
            folder / "agent.log", maxBytes=_LOG_SIZE, backupCount=_OLD_LOGS, errors="replace"
        )
    except (OSError, RuntimeError):  # the latter: there is no home folder
        return lambda _: None
    handler.setFormatter(logging.Formatter("%(asctime)s [%(process)d] %(message)s"))
    logger.addHandler(handler)
    return logger.info


class Stay:
    """How long an agent stays: until it is told to leave, or nobody has come for a while."""

    def __init__(self, idle: float) -> None:
        """`idle` in seconds."""
        self._idle = idle
        self._told = threading.Event()
        self.left = threading.Event()
        """Set once everything is done."""

    def end(self) -> None:
        """Tells the agent to leave."""
        self._told.set()

    def end_and_wait(self) -> None:
        """Tells it, and returns when it has left."""
        self.end()
        self.left.wait()

    def obey_signals(self) -> None:
        """SIGTERM and SIGINT mean to leave in order; the second one means at once."""

        def obey(_number: int, _frame: Optional[FrameType]) -> None:
            if self._told.is_set():
                raise KeyboardInterrupt
            self.end()

        signal.signal(signal.SIGTERM, obey)
        signal.signal(signal.SIGINT, obey)

    def out(self, server: Server, look: Callable[[], object]) -> str:
        """Returns when it is over; says why. Calls `look` now and then meanwhile."""
        while not self._told.wait(_LOOK_AROUND):
            look()
            if server.idle_seconds > self._idle:
                return f"nobody came for {self._idle:g} s"
            if server.lost_its_place:
                return "its folder is gone, or somebody else's"
        return "told to"


def own_command(*arguments: str) -> list[str]:
    """A command that runs this same program with other arguments, wherever it was started from."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        "from nix_remote.cli.main import main; sys.exit(main())"
    )
    prefix = [f"-Xpycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
    return [sys.executable, "-I", *prefix, "-c", code, *arguments]


def wait_for_server(folder: str, seconds: float) -> bool:
    """Whether somebody serves within that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            connection = connecting.connect(folder)
        except framing.Unusable:
            return False
        if connection is not None:
            connection.close()
            return True
        time.sleep(_LOOK_AROUND / 10)
    return False


def told_by(folder: str) -> Optional[dict[str, Any]]:
    """What whoever serves says of itself; None if nobody does.

    Raises `Unusable` and `Lost`.
    """
    text = _asked(folder, framing.STATUS)
    return None if text is None else json.loads(text)


def is_lead(told: Optional[dict[str, Any]]) -> bool:
    """Whether what serves is a copier, which stays as long as its own copy lasts."""
    return told is not None and told["kind"] == "lead"


def stop(folder: str, process: int) -> None:
    """Has whoever serves leave in order; returns when that is done, and its process gone.

    Raises `Unusable`.
    """
    with contextlib.suppress(framing.Lost):
        _asked(folder, framing.STOP)
    deadline = time.monotonic() + _LAST_MOMENTS
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(_LOOK_AROUND / 10)


def _asked(folder: str, kind: bytes) -> Optional[bytes]:
    connection = connecting.connect(folder)
    if connection is None:
        return None
    said = b""
    conversation = framing.Conversation(connection)
    conversation.send(framing.hello() + framing.frame(kind))
    conversation.check_greeting()
    while True:
        kind, content = conversation.receive()
        if kind == framing.OUTPUT_TEXT:
            said += content
        elif kind == framing.DECLINED:
            raise framing.Unusable(content.decode(errors="replace"))
        elif kind == framing.EXIT:
            return said


def _state_folder(given: str) -> Path:
    return (Path(given) if os.path.isabs(given) else Path.home() / ".local/state") / "nix-remote"
