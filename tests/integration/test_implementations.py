"""Copies to servers that answer as Nix 2.18, as Lix, and as every other release that is known.

The texts and the protocol of each release are replayed in front of the lab's own Nix: see
`lab/implementations`. Without `--thorough`, only the two most common ones run, with the effects
of their texts and protocols.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import pytest

from lab import images, nix
from lab.host import Host, wait_until
from lab.implementations.releases import REPLAYED, USUAL, greeting, printed, speech
from lab.implementations.replay import answer_as, record_replay
from lab.lab import GUEST, Lab, alias
from nix_remote.doctor import advisories
from nix_remote.protocol.implementations import Implementation, Kind
from tests.compatibility.recording import Recorder
from tests.integration.copier import Copier, assert_kept_whole, new_closure, root_links
from tests.integration.invalidation import INVALIDATE
from tests.races.collector import Collector, Point, waiting_for_lock
from tests.races.held_copier import FOLDER, REACHED, RELEASED

pytestmark = pytest.mark.timeout(300)

ONE_IS_ENOUGH = ["worker", pytest.param("serve", marks=pytest.mark.thorough)]


@dataclass(frozen=True)
class Server:
    """A server that answers as a release."""

    host: Host
    workstation: Host
    release: Implementation

    @property
    def name(self) -> str:
        """The name of its Nix, as a session reports it."""
        name = "Lix" if self.release.kind is Kind.LIX else "Nix"
        return f"{name} {greeting(self.release)}"

    def copier(self) -> Copier:
        return Copier(self.workstation)

    @property
    def alias(self) -> str:
        return alias(self.host)


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Host]:
    image = images.TRACED_SERVER
    started = lab.start_server("nix-replayed", nix.Version.CURRENT, image=image)
    yield started
    started.stop()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(each, marks=() if each in USUAL else pytest.mark.thorough) for each in REPLAYED
    ],
    ids=str,
)
def server(lab: Lab, host: Host, request: pytest.FixtureRequest) -> Server:
    answer_as(host, request.param)
    return Server(host, lab.workstation, request.param)


@pytest.fixture
def shows(server: Server, compatibility: Recorder) -> Callable[[str], None]:
    """Records what the test shows of the release."""
    return lambda what: record_replay(server.release, compatibility, what)


@pytest.mark.parametrize("protocol", ONE_IS_ENOUGH)
def test_closures_arrive_once_and_their_roots_count(
    server: Server, protocol: str, shows: Callable[[str], None]
) -> None:
    shows(f"copies over the {protocol} protocol")
    env = {"NIX_REMOTE_PROTOCOL": protocol}
    closure = new_closure(server.workstation)
    top = closure[-1]
    below = [path for path in closure if "-middle-" in path]
    # In part, the rest, nothing.
    first = server.copier().copy(*below, alias=server.alias, env=env)
    assert set(first["sent"]) >= set(below)
    rest = server.copier().copy(top, alias=server.alias, env=env)["sent"]
    assert top in rest
    assert not set(rest) & set(first["sent"])
    assert server.copier().copy(top, alias=server.alias, env=env)["sent"] == []
    nix.collect_garbage(server.host)
    assert_kept_whole(server.host, server.workstation, closure)
    links = [link for link, path in root_links(server.host).items() if path == top]
    assert len(links) == 1
    nix.empty_store(server.host)


def test_the_session_is_told_with_the_name_and_protocol_of_the_release(
    server: Server, shows: Callable[[str], None]
) -> None:
    shows("plan")
    top = new_closure(server.workstation)[-1]
    plan = ["nix-remote", "plan", "-v", f"--host={server.alias}", top]
    text = server.workstation.run(plan).check().text
    spoken = min(speech(server.release).worker, (1, 37))
    version = server.name if spoken >= (1, 33) else "Nix of unknown version"
    protocol = ".".join(map(str, spoken))
    assert f"worker protocol {protocol}, {version}, which " in text
    assert top in text


def test_what_no_trusted_key_has_signed_is_refused(
    server: Server, shows: Callable[[str], None]
) -> None:
    shows("refusals")
    top = new_closure(server.workstation)[-1]
    guest = alias(server.host, GUEST)
    text = server.copier().fails("signature-required", top, alias=guest)
    assert "trusted-users = root guest" in text
    assert not nix.is_valid(server.host, top)
    server.workstation.sh(f"chmod u+w {top}/references; sed -i s/^./X/ {top}/references")
    server.copier().fails("path-content-changed", top, alias=server.alias)


@pytest.mark.parametrize("protocol", ONE_IS_ENOUGH)
def test_a_reference_that_has_gone_is_sent_again(
    server: Server, protocol: str, shows: Callable[[str], None]
) -> None:
    shows(f"lost references over the {protocol} protocol")
    closure = new_closure(server.workstation)
    top, middle = closure[-1], next(path for path in closure if "-middle-" in path)
    server.copier().copy(middle, alias=server.alias)
    # Nothing keeps it, but for the session of the copy that is held.
    server.host.sh("rm -rf /home/copier/.local/state; rm -f /nix/var/nix/gcroots/auto/*")
    command = ["/opt/nix-remote/bin/python", "-m", "tests.races.held_copier", "send", "none"]
    command += ["copy", "--no-agent", "-v", f"--host={server.alias}", top]
    server.workstation.sh(f"mkdir -p {FOLDER}; rm -f {REACHED} {RELEASED}")
    env = {"NIX_REMOTE_PROTOCOL": protocol, "PYTHONPATH": "/src/nix_remote"}
    env["PYTHONPYCACHEPREFIX"] = "/tmp/bytecode"
    with server.workstation.popen(command, env=env, stderr=subprocess.PIPE) as copier:
        held = ["test", "-e", str(REACHED)]
        wait_until(lambda: server.workstation.run(held).status == 0, "the copier to send")
        server.host.run(["python3", "-c", INVALIDATE, middle]).check()
        server.workstation.sh(f"touch {RELEASED}")
        _, errors = copier.communicate(timeout=60)
    assert copier.returncode == 0, errors
    assert nix.is_valid(server.host, top)
    assert nix.is_valid(server.host, middle)
    nix.empty_store(server.host)


@pytest.mark.thorough
def test_a_copy_waits_for_the_collector_that_runs(
    server: Server, shows: Callable[[str], None]
) -> None:
    shows("barrier")
    top = new_closure(server.workstation)[-1]
    command = server.copier().command(top, alias=server.alias)
    collector = Collector(server.host, "/usr/bin/nix-store", Point.STORE, "collector")
    try:
        collector.arrive()
        assert collector.held
        with server.workstation.popen(command, stderr=subprocess.PIPE) as copier:
            wait_until(lambda: waiting_for_lock(server.host) > 0, "the copy to wait")
            assert copier.poll() is None
            collector.release()
            _, errors = copier.communicate(timeout=60)
    finally:
        collector.release()
        collector.wait()
    assert copier.returncode == 0, errors


@pytest.mark.thorough
def test_damage_on_the_servers_disk_is_found(server: Server, shows: Callable[[str], None]) -> None:
    shows("verify")
    closure = new_closure(server.workstation)
    server.copier().copy(closure[-1], alias=server.alias)
    changed = closure[-1]
    server.host.sh(f"chmod u+w {changed}/references; printf x > {changed}/references")
    command = ["nix-remote", "verify", "--json", f"--host={server.alias}", changed]
    found = json.loads(server.workstation.run(command).stdout)["data"]["findings"]
    statuses = {each["subject"]: each["status"] for each in found}
    assert statuses == {path: "broken" if path == changed else "ok" for path in closure}
    nix.empty_store(server.host)


def test_doctor_names_the_release_and_its_flaws(
    server: Server, shows: Callable[[str], None]
) -> None:
    shows("doctor")
    command = ["nix-remote", "doctor", "--json", server.alias, "--not-exported"]
    done = server.workstation.run(command, timeout=60)
    findings: list[dict[str, Any]] = json.loads(done.stdout)["data"]["findings"]
    said = [each["text"] for each in findings if each["subject"] == "advisories"]
    expected = advisories.judge(printed(server.release, "nix-store"))
    assert said == [each.text for each in expected]
    assert all(str(server.release) in each for each in said)
    broken = [each for each in findings if each["status"] == "broken"]
    assert broken == []
