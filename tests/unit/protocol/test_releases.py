"""What is known of each release, held to what the product reads."""

from __future__ import annotations

import pytest

from lab.implementations.releases import REPLAYED, greeting, printed, speech
from nix_remote.protocol import versions
from nix_remote.protocol.implementations import (
    Implementation,
    Kind,
    described,
    from_sentence,
)
from nix_remote.text import PeerText
from tests.golden.script import Recording, recordings


@pytest.mark.parametrize("release", REPLAYED, ids=str)
def test_a_release_is_known_by_what_it_prints(release: Implementation) -> None:
    assert from_sentence(printed(release, "nix-store") + "\n") == release


@pytest.mark.parametrize("release", REPLAYED, ids=str)
def test_a_release_is_called_by_its_name_in_a_session(release: Implementation) -> None:
    # Determinate Nix greets as the Nix that it is based on.
    name = "Lix" if release.kind is Kind.LIX else "Nix"
    assert described(greeting(release)) == f"{name} {greeting(release)}"


@pytest.mark.parametrize("release", REPLAYED, ids=str)
def test_a_release_speaks_what_the_product_speaks(release: Implementation) -> None:
    spoken = speech(release)
    assert spoken.worker >= versions.WORKER_OLDEST
    assert spoken.serve >= versions.SERVE_OLDEST


@pytest.mark.parametrize("release", REPLAYED, ids=str)
def test_durable_roots_are_asked_for_where_they_are_made(release: Implementation) -> None:
    server = versions.WorkerServer(speech(release).worker, PeerText(greeting(release)), None)
    assert server.can_make_roots is speech(release).decodes


@pytest.mark.parametrize(
    "recording", recordings(), ids=lambda one: f"{one.protocol}-{one.nix_version}"
)
def test_recorded_daemons_speak_what_is_known_of_them(recording: Recording) -> None:
    version = tuple(map(int, recording.nix_version.split(".")))
    spoken = speech(Implementation(Kind.NIX, version))
    expected = spoken.worker if recording.protocol == "worker" else spoken.serve
    # Behind the eight bytes of the magic number.
    number = int.from_bytes(recording.received[8:16], "little")
    assert versions.protocol_version(number) == expected
