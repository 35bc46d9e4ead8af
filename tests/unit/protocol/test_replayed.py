"""The program that answers as another release, in front of a recorded session of a real daemon."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator

import pytest

from lab.implementations.releases import REPLAYED, greeting, sentences, speech
from lab.implementations.replay import RELAY, profile, record_replay
from nix_remote.protocol.conversation import Event, Greeted, Refused
from nix_remote.protocol.implementations import Implementation, Kind
from nix_remote.protocol.nix_messages import ADDING_A_PATH, Meaning, match
from nix_remote.protocol.versions import WORKER_CLIENT, WorkerServer
from tests.compatibility.recording import Recorder
from tests.golden.script import Recording, begin, recordings

# Of the recorded daemons, the one that was asked for nothing that some releases do not have.
RECORDING = next(
    one for one in recordings() if (one.protocol, one.nix_version) == ("worker", "2.8.0")
)
REAL = Implementation(Kind.NIX, (2, 8, 0))


def replayed(release: Implementation, folder: Path) -> Iterator[Event[WorkerServer]]:
    """The events of the recorded session, as `release` would have given them."""
    place = folder / "socket"
    (folder / "release.json").write_text(json.dumps(profile(release, REAL, str(place))))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        daemon = threading.Thread(target=answer, args=(listening, RECORDING))
        daemon.start()
        command = [sys.executable, str(RELAY), str(folder / "release.json")]
        command += ["nix-daemon", "--stdio"]
        done = subprocess.run(command, input=RECORDING.sent, stdout=subprocess.PIPE, timeout=30)
        daemon.join()
    assert done.returncode == 0
    conversation, steps = begin("worker", RECORDING.nix_version)
    for step in steps:
        if not isinstance(step, bytes):
            conversation.request(step)
    yield from conversation.receive(done.stdout)


def answer(listening: socket.socket, recording: Recording) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(recording.received)
        while connection.recv(65536):
            pass


@pytest.mark.parametrize("release", REPLAYED, ids=str)
def test_a_session_is_that_of_the_release(
    release: Implementation, tmp_path: Path, compatibility: Recorder
) -> None:
    record_replay(release, compatibility, "a recorded session")
    events = list(replayed(release, tmp_path))
    greeted = events[0]
    assert isinstance(greeted, Greeted)
    assert greeted.server.protocol == speech(release).worker
    spoken = min(speech(release).worker, WORKER_CLIENT)
    assert greeted.server.effective == spoken
    assert str(greeted.server.nix_version) == (greeting(release) if spoken >= (1, 33) else "None")
    refused = [each.message.plain for each in events if isinstance(each, Refused)]
    meanings = [match(ADDING_A_PATH, said) for said in refused]
    assert meanings.count(Meaning.NOT_VALID) == 1
    own = [each.text for each in sentences(release) if each.meaning is Meaning.NOT_VALID]
    said = refused[meanings.index(Meaning.NOT_VALID)]
    assert said.split("'")[-1] == own[0].split("'")[-1]
    assert len(events) == len(RECORDING.events)
