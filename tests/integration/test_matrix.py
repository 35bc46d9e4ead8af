"""The same promises between every pair of Nix versions, over both protocols."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Iterator, Mapping

import pytest

from lab import nix
from lab.host import Host
from lab.lab import GUEST, Lab, alias
from lab.nix import Version
from tests.compatibility.recording import Recorder
from tests.integration.copier import Copier, assert_kept_whole, new_closure, root_links
from tests.integration.versions import record_nix, record_openssh, record_python

_OPERATIONS = "/src/nix_remote/tests/integration/every_operation.py"

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class Pair:
    """A workstation, a server, and the protocol spoken between them."""

    workstation: Host
    server: Host
    protocol: str

    @property
    def env(self) -> Mapping[str, str]:
        return {"NIX_REMOTE_PROTOCOL": self.protocol}

    @property
    def alias(self) -> str:
        return alias(self.server)

    @property
    def copier(self) -> Copier:
        return Copier(self.workstation)


@pytest.fixture(scope="module", params=["worker", "serve"])
def protocol(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


_EVERY_RUN = {
    (Version.V2_8, Version.V2_8),
    (Version.CURRENT, Version.V2_26),
    (Version.CURRENT, Version.CURRENT),
}
"""With the servers of other tests, each version has met a newer, an older and its own."""


def _pairs() -> Iterator[object]:
    for local, server in itertools.product((Version.V2_8, Version.CURRENT), Version):
        marks = () if (local, server) in _EVERY_RUN else pytest.mark.thorough
        yield pytest.param((local, server), marks=marks, id=f"{local.value}-to-{server.value}")


@pytest.fixture(scope="module", params=_pairs())
def pair(lab: Lab, protocol: str, request: pytest.FixtureRequest) -> Iterator[Pair]:
    local, remote = request.param
    server = lab.server_with(remote)
    yield Pair(lab.workstation_with(local), server, protocol)
    # Paths kept for one pair must not be there for the next.
    nix.empty_store(server)


@pytest.fixture(autouse=True)
def recorded(pair: Pair, compatibility: Recorder, pytestconfig: pytest.Config) -> None:
    """Every test here shows something of each version that it uses."""
    if pytestconfig.getoption("--record") is None:
        return
    record_nix(pair.server, compatibility, f"server over the {pair.protocol} protocol")
    record_nix(pair.workstation, compatibility, "local store")
    record_openssh(pair.server, compatibility, "server")
    record_python(pair.workstation, compatibility, "copies")


def test_a_closure_arrives_whole_and_only_once(pair: Pair) -> None:
    closure = new_closure(pair.workstation, megabytes=1)
    first = pair.copier.copy(closure[-1], alias=pair.alias, env=pair.env)
    assert set(first["sent"]) >= {path for path in closure if "-leaf-" in path or "-top-" in path}
    assert_kept_whole(pair.server, pair.workstation, closure)
    assert pair.copier.copy(closure[-1], alias=pair.alias, env=pair.env)["sent"] == []


def test_garbage_collection_keeps_it_until_its_root_is_gone(pair: Pair) -> None:
    closure = new_closure(pair.workstation)
    pair.copier.copy(closure[-1], alias=pair.alias, env=pair.env)
    nix.collect_garbage(pair.server)
    assert_kept_whole(pair.server, pair.workstation, closure)

    links = [link for link, target in root_links(pair.server).items() if target == closure[-1]]
    assert len(links) == 1
    pair.server.sh(f"rm {links[0]}")
    assert closure[-1] in nix.collect_garbage(pair.server)


def test_the_protocol_asked_for_is_the_one_spoken(pair: Pair) -> None:
    top = new_closure(pair.workstation)[-1]
    text = pair.copier.run("-v", top, alias=pair.alias, env=pair.env).check().stderr
    assert f"{pair.protocol} protocol " in text


def test_content_that_is_not_what_was_registered_is_refused(pair: Pair) -> None:
    top = new_closure(pair.workstation)[-1]
    pair.workstation.sh(f"chmod u+w {top}/references; sed -i s/^./X/ {top}/references")
    text = pair.copier.fails("path-content-changed", top, alias=pair.alias, env=pair.env)
    assert "hash mismatch" in text
    assert not nix.is_valid(pair.server, top)


def test_an_account_that_is_not_trusted_is_refused(pair: Pair) -> None:
    top = new_closure(pair.workstation)[-1]
    text = pair.copier.fails(
        "signature-required", top, alias=alias(pair.server, GUEST), env=pair.env
    )
    assert "trusted-users = root guest" in text
    assert not nix.is_valid(pair.server, top)


def test_after_every_operation_the_session_answers_the_next(pair: Pair) -> None:
    closure = new_closure(pair.workstation)
    command = ["/opt/nix-remote/bin/python", "-I", _OPERATIONS, pair.alias, *closure]
    done = pair.workstation.run(command, env=pair.env, timeout=60).check()
    assert json.loads(done.stdout) == [
        "ask",
        "lock",
        "registered",
        "substitute",
        "push",
        "push again",
        "push refused",
        "secure",
    ]
    assert_kept_whole(pair.server, pair.workstation, closure)
