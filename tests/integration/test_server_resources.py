"""A copy to a server without resources names the missing one, and leaves the server clean."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import Iterator, Mapping

import pytest

from lab import nix
from lab.host import Host
from lab.lab import Lab, alias
from lab.nix import Version
from tests.integration.copier import Copier, assert_kept_whole, new_closure
from tests.integration.server_versions import server_versions

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module", params=server_versions(Version.V2_8, Version.CURRENT))
def small_server(lab: Lab, request: pytest.FixtureRequest) -> Host:
    """A server whose store holds 32 MB."""
    version: Version = request.param
    return lab.start_server(f"small-{list(Version).index(version)}", version, store_size="32m")


@pytest.fixture(params=["worker", "serve"])
def env(request: pytest.FixtureRequest) -> Mapping[str, str]:
    return {"NIX_REMOTE_PROTOCOL": request.param}


def assert_nothing_half_done(server: Host) -> None:
    """All valid paths of the server have the registered content."""
    server.run(["nix-store", "--verify", "--check-contents"], timeout=120).check()


def test_a_full_disk(lab: Lab, copier: Copier, small_server: Host, env: Mapping[str, str]) -> None:
    closure = new_closure(lab.workstation, megabytes=40)
    text = copier.fails(
        "server-disk-full", closure[-1], alias=alias(small_server), env=env, within=60
    )
    assert "nix-store --gc" in text
    assert not nix.is_valid(small_server, closure[-1])
    assert_nothing_half_done(small_server)

    # The fix that the error names. Nothing else prevents the next copy, and no lock is left.
    lab.workstation.sh(f"ssh {alias(small_server)} nix-store --gc")
    small = new_closure(lab.workstation, megabytes=5)
    copier.copy(small[-1], alias=alias(small_server), env=env)
    assert_kept_whole(small_server, lab.workstation, small)
    nix.empty_store(small_server)


def test_a_database_that_cannot_be_written(
    lab: Lab, copier: Copier, small_server: Host, env: Mapping[str, str]
) -> None:
    closure = new_closure(lab.workstation)
    with _read_only(small_server, "/nix/var/nix/db"):
        text = copier.fails(
            "server-store-read-only", closure[-1], alias=alias(small_server), env=env
        )
        assert "fix: " in text
    assert not nix.is_valid(small_server, closure[-1])
    copier.copy(closure[-1], alias=alias(small_server), env=env)
    assert_kept_whole(small_server, lab.workstation, closure)


@contextmanager
def _read_only(server: Host, folder: str) -> Iterator[None]:
    nix.collect_garbage(server)  # Makes the database, if nothing has done so before.
    # The daemon has its own view of what is mounted, from when it was started.
    server.stop_service("nix-daemon")
    server.sh(f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}")
    nix.start_daemon(server)
    try:
        yield
    finally:
        server.stop_service("nix-daemon")
        server.sh(f"umount {folder}")
        nix.start_daemon(server)


def test_another_writer_of_the_same_path_is_named_not_waited_for_in_silence(
    lab: Lab, copier: Copier, env: Mapping[str, str]
) -> None:
    closure = new_closure(lab.workstation)
    server, top = lab.server, closure[-1]
    server.start_service("writer", ["flock", "--no-fork", f"{top}.lock", "sleep", "120"])
    with lab.workstation.popen(copier.command(top), env=env, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        said = next(line for line in running.stderr if b"waiting" in line)
        server.stop_service("writer")
        running.communicate(timeout=60)
    assert b"to be registered (another client may be sending it)" in said
    assert running.returncode == 0
    assert_kept_whole(server, lab.workstation, closure)
