"""An exhausted disk quota: a real one of a btrfs, which also applies to root."""

from __future__ import annotations

import shutil
from typing import Iterator

import pytest

from lab import nix
from lab.commands import check
from lab.host import Host
from lab.lab import Lab, alias
from lab.nix import Version
from tests.integration.copier import Copier, assert_kept_whole, new_closure

pytestmark = pytest.mark.timeout(600)

_QUOTA = "40M"


@pytest.fixture(scope="module")
def server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server whose store lies on a file system with a quota."""
    if shutil.which("mkfs.btrfs") is None:
        check(["apt-get", "install", "-y", "-q", "btrfs-progs"], timeout=300)
    image = tmp_path_factory.mktemp("quota") / "image"
    check(["truncate", "--size=300M", image])
    check(["mkfs.btrfs", "--quiet", image])
    # Where the store of a host without one in memory is, seen from outside.
    store = lab.folder / "quota" / "nix"
    store.mkdir(parents=True)
    check(["mount", "-o", "loop", image, store])
    try:
        check(["btrfs", "quota", "enable", store])
        host = lab.start_server("quota", Version.CURRENT, store_size="")
        yield host
        host.stop()
    finally:
        check(["umount", store])


@pytest.mark.parametrize("protocol", ["worker", "serve"])
def test_a_quota_that_is_used_up(lab: Lab, server: Host, protocol: str) -> None:
    copier = Copier(lab.workstation)
    env = {"NIX_REMOTE_PROTOCOL": protocol}
    store = lab.folder / "quota" / "nix"
    check(["btrfs", "qgroup", "limit", _QUOTA, store])
    closure = new_closure(lab.workstation, megabytes=60)
    text = copier.fails(
        "server-quota-exceeded", closure[-1], alias=alias(server), env=env, within=60
    )
    assert "raise the quota" in text
    assert not nix.is_valid(server, closure[-1])

    # The fix that the error names. Nothing else prevents the next copy, and no lock is left.
    check(["btrfs", "qgroup", "limit", "none", store])
    copier.copy(closure[-1], alias=alias(server), env=env)
    assert_kept_whole(server, lab.workstation, closure)
    nix.empty_store(server)
