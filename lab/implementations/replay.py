"""Makes a server of the lab answer as another release: see `relay.py`.

The daemon, the garbage collector and the store stay those of the server, and so does root's own
session, which needs no daemon. A replay shows nothing about them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, Iterator, Mapping, Optional

from lab.host import Host
from lab.implementations.releases import (
    DAEMON_SOCKET,
    greeting,
    printed,
    sentences,
    speech,
)
from nix_remote.protocol.implementations import Implementation, from_sentence
from nix_remote.protocol.nix_messages import Meaning
from tests.compatibility.recording import Recorder
from tests.compatibility.records import How

_FOLDER: Final = "/opt/implementations"
_PROGRAMS: Final = ("nix-daemon", "nix-store")
# With the colours that a daemon gives it.
_PATH: Final = r"(?:\x1b\[[0-9;]*m)*/nix/store/[^'\"]+"

_UNSPECIFIC: Final = {
    Meaning.SOCKET_CLOSED: Meaning.NOT_REACHED,
    Meaning.NO_DAEMON: Meaning.NOT_REACHED,
}
"""A possible answer of a release that has no sentence for a meaning."""


RELAY: Final = Path(__file__).with_name("relay.py")


def profile(
    release: Implementation, real: Implementation, socket: str = DAEMON_SOCKET
) -> Mapping[str, Any]:
    """What `relay.py` has to know to answer as `release` in front of the `real` Nix."""
    spoken = speech(release)
    return {
        "socket": socket,
        "worker": spoken.worker.number,
        "serve": spoken.serve.number,
        "decodes": spoken.decodes,
        "asks_once": spoken.asks_once,
        "greeting": greeting(release),
        "printed": printed(release, "nix-store"),
        "hangs_up": _hangs_up(release),
        "words": list(_replacements(real, release)),
    }


def answer_as(server: Host, release: Implementation) -> None:
    """From now on, accounts that log in find programs that answer as `release`."""
    real = from_sentence(server.sh("/usr/bin/nix-store --version"))
    assert real is not None
    server.write(f"{_FOLDER}/relay.py", RELAY.read_text())
    server.write(f"{_FOLDER}/release.json", json.dumps(profile(release, real)))
    for name in _PROGRAMS:
        relay = f'/usr/bin/python3 {_FOLDER}/relay.py {_FOLDER}/release.json {name} "$@"'
        own = '[ "$(id -u)" = 0 ] && [ "$1" != --version ] && exec'
        script = f'#!/bin/sh\n{own} /usr/bin/{name} "$@"\nexec {relay}\n'
        server.write(f"/usr/local/bin/{name}", script, mode="755")


def answer_for_itself(server: Host) -> None:
    """Undoes `answer_as`."""
    server.run(["rm", "-f", *(f"/usr/local/bin/{name}" for name in _PROGRAMS)]).check()


def record_replay(release: Implementation, compatibility: Recorder, what: str) -> None:
    """Notes that the test shows `what` of a release that is replayed."""
    version = ".".join(map(str, release.version))
    based_on = f"Nix {greeting(release)}" if release.upstream is not None else ""
    compatibility(release.kind.value, version, what, how=How.REPLAYED, variant=based_on)


def _replacements(real: Implementation, release: Implementation) -> Iterator[tuple[str, str]]:
    """Patterns for the words of the real Nix, and what the release says instead."""
    own = {sentence.text for sentence in sentences(release)}
    for sentence in sentences(real):
        if sentence.text in own:
            continue
        instead = _text(release, sentence.meaning) or _text(
            release, _UNSPECIFIC.get(sentence.meaning, sentence.meaning)
        )
        if instead is not None:
            pattern = re.escape(sentence.text)
            pattern = re.sub("PATH|OTHER", lambda _: f"(?P<path>{_PATH})", pattern)
            yield pattern, re.sub("PATH|OTHER", r"\\g<path>", instead)


def _text(release: Implementation, meaning: Meaning) -> Optional[str]:
    said = (each.text for each in sentences(release) if each.meaning is meaning)
    return next(said, None)


def _hangs_up(release: Implementation) -> str:
    """What `nix-daemon --stdio` says when the daemon hangs up at once; empty: nothing."""
    return "" if speech(release).decodes else _text(release, Meaning.DAEMON_ENDED) or ""
