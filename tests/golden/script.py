"""The requests of the recorded conversations, and the format of a recording."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Iterator, Sequence, Union

from nix_remote.protocol import serve, worker
from nix_remote.protocol.conversation import (
    Conversation,
    Event,
    Greeted,
    Logged,
    Refused,
    Request,
)
from nix_remote.protocol.worker_conversation import WorkerConversation
from nix_remote.store.paths import PathInfo, StorePath
from nix_remote.wire import framed
from nix_remote.wire.codec import encode_bytes
from tests.support.paths import info, path

FOLDER = Path(__file__).parent

Step = Union[Request[object], bytes]
"""A request, or bytes that follow one."""


def _nar(text: bytes) -> bytes:
    """The NAR of a file with that content."""
    words = (b"nix-archive-1", b"(", b"type", b"regular", b"contents", text, b")")
    return b"".join(map(encode_bytes, words))


def _with_nar(name: str, *references: str) -> tuple[PathInfo, bytes]:
    nar = _nar(f"content of {name}".encode())
    return info(name, *references, nar=nar), nar


LEAF, LEAF_NAR = _with_nar("golden-leaf")
TOP, TOP_NAR = _with_nar("golden-top", "golden-leaf", "golden-top")
ORPHAN, ORPHAN_NAR = _with_nar("golden-orphan", "golden-absent")
ABSENT = path("golden-absent")
WRONG = PathInfo(path("golden-wrong"), LEAF.nar_hash, len(TOP_NAR))
ROOT_LOCATION = "golden-root"


def _frames(nar: bytes) -> bytes:
    """A NAR as a framed stream of two frames."""
    parts = (nar[:10], nar[10:])
    return b"".join(framed.frame_header(len(part)) + part for part in parts) + framed.END


def _all(*infos: PathInfo) -> tuple[StorePath, ...]:
    return tuple(info.path for info in infos)


def worker_steps() -> Iterator[Step]:
    """A session of the worker protocol, refusals included."""
    yield worker.AddTempRoot(LEAF.path)
    yield worker.AddTempRoot(ABSENT)
    yield worker.QueryValidPaths(_all(LEAF, TOP))
    yield worker.AddToStoreNar(LEAF)
    yield _frames(LEAF_NAR)
    yield worker.AddToStoreNar(TOP)
    yield _frames(TOP_NAR)
    yield worker.AddToStoreNar(ORPHAN)  # refused: its reference is not valid
    yield _frames(ORPHAN_NAR)
    yield worker.AddToStoreNar(WRONG)  # refused: another hash
    yield _frames(TOP_NAR)
    yield worker.QueryValidPaths((*_all(LEAF, TOP, ORPHAN, WRONG), ABSENT))
    yield worker.QueryValidPaths((*_all(LEAF), ABSENT), substitute=True)
    yield worker.QueryPathInfo(TOP.path)
    yield worker.QueryPathInfo(ABSENT)
    yield worker.CollectGarbage()
    yield worker.AddTempRoot(TOP.path)


def serve_steps() -> Iterator[Step]:
    """A session of the serve protocol."""
    yield serve.QueryValidPaths(_all(LEAF, TOP), lock=True)
    yield serve.AddToStoreNar(LEAF)
    yield LEAF_NAR
    yield serve.AddToStoreNar(TOP)
    yield TOP_NAR
    yield serve.QueryValidPaths((*_all(LEAF, TOP), ABSENT), lock=True)
    yield serve.QueryValidPaths(_all(LEAF), lock=False, substitute=True)
    yield serve.QueryPathInfos((*_all(LEAF, TOP), ABSENT))
    yield serve.QueryClosure(_all(TOP))


PROTOCOLS: Final = ("worker", "serve")


def begin(protocol: str, nix_version: str) -> tuple[Conversation[Any], Sequence[Step]]:
    """A new conversation, and what is to be said in it to a Nix of that version."""
    if protocol == "serve":
        return serve.ServeConversation(), tuple(serve_steps())
    steps = list(worker_steps())
    if not nix_version.startswith("2.8."):
        # Older ones end the session on an operation that they do not know.
        steps.append(worker.AddPermRoot(TOP.path, ROOT_LOCATION))
    return WorkerConversation(), steps


def describe(event: Event[Any]) -> str:
    """An event in one line; always the same one for equal events."""
    if isinstance(event, Greeted):
        return f"greeted by {event.server}"
    if isinstance(event, Logged):
        return f"logged: {event.text}"
    name = type(event.request).__name__
    if isinstance(event, Refused):
        return f"{name} refused: {event.message.shown()}"
    value = sorted(event.value) if isinstance(event.value, frozenset) else event.value
    return f"{name}: {value}"


@dataclass(frozen=True)
class Recording:
    """One session."""

    protocol: str
    nix_version: str
    sent: bytes
    """All that the client sent, in order."""
    received: bytes
    """All that the server sent, in order."""
    events: tuple[str, ...]
    """What it means: `describe` of every event."""

    def save(self) -> None:
        """Writes it to its file."""
        fields = {
            "protocol": self.protocol,
            "nix_version": self.nix_version,
            "sent": self.sent.hex(),
            "received": self.received.hex(),
            "events": list(self.events),
        }
        file = FOLDER / f"{self.protocol}-{self.nix_version}.json"
        file.write_text(json.dumps(fields, indent=1) + "\n")


def recordings() -> list[Recording]:
    """All that are kept."""
    found = []
    for file in sorted(FOLDER.glob("*.json")):
        fields = json.loads(file.read_text())
        found.append(
            Recording(
                fields["protocol"],
                fields["nix_version"],
                bytes.fromhex(fields["sent"]),
                bytes.fromhex(fields["received"]),
                tuple(fields["events"]),
            )
        )
    return found
