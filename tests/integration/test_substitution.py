"""`--substitute`: the server's substituters come first, and never cause a hang."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

import pytest

from lab import nix
from lab.host import Host, wait_until
from lab.lab import Lab, alias
from lab.nix import SigningKeys, Version
from tests.integration.copier import Copier, assert_kept_whole, new_closure

_CACHE = "/root/cache"
_PORT = 8080
_SILENT = "import socket, time; s = socket.create_server(('', 8080)); time.sleep(600)"

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def keys(lab: Lab) -> SigningKeys:
    """The signing keys of the cache."""
    return nix.new_signing_keys(lab.workstation, "lab-cache")


@pytest.fixture(scope="module", params=[Version.V2_8, Version.CURRENT], ids=lambda v: v.value)
def server(lab: Lab, request: pytest.FixtureRequest, keys: SigningKeys) -> Iterator[Host]:
    """A server that trusts a binary cache on the workstation."""
    cache = f"http://{lab.workstation.address}:{_PORT}"
    server = lab.server_with(request.param)
    trust = f"trusted-public-keys = {keys.public}"
    with nix.configured(server, f"substituters = {cache}", trust):
        yield server


@contextmanager
def cache(workstation: Host, *program: str) -> Iterator[None]:
    """What answers on the cache's port, for the length of a `with` block."""
    workstation.start_service("cache", ["python3", *program])
    probe = f"exec 3<>/dev/tcp/127.0.0.1/{_PORT}"
    wait_until(lambda: workstation.run(["bash", "-c", probe]).status == 0, "the cache")
    try:
        yield
    finally:
        workstation.stop_service("cache")


def publish(workstation: Host, keys: SigningKeys, path: str) -> None:
    """Puts the closure of a path into the cache."""
    workstation.sh(
        "nix --extra-experimental-features nix-command copy"
        f" --to 'file://{_CACHE}?secret-key={keys.secret}' {path}"
    )


@pytest.fixture(params=["worker", pytest.param("serve", marks=pytest.mark.thorough)])
def substituting(server: Host, copier: Copier, request: pytest.FixtureRequest) -> Substituting:
    return Substituting(copier, server, request.param)


class Substituting:
    """Copies to the server with `--substitute`, over one protocol."""

    def __init__(self, copier: Copier, server: Host, protocol: str) -> None:
        self._copier = copier
        self._server = server
        self._env = {"NIX_REMOTE_PROTOCOL": protocol}

    def sent(self, path: str, *options: str) -> list[str]:
        words = ("--substitute", *options, path)
        copied = self._copier.copy(*words, alias=alias(self._server), env=self._env)
        found: list[str] = copied["sent"]
        return found

    def text(self, path: str, *options: str) -> str:
        words = ("--substitute", *options, path)
        return self._copier.run(*words, alias=alias(self._server), env=self._env).check().stderr


def test_what_the_cache_has_is_not_sent(
    lab: Lab, server: Host, keys: SigningKeys, substituting: Substituting
) -> None:
    closure = new_closure(lab.workstation, megabytes=1)
    *others, top = closure
    for path in others:
        publish(lab.workstation, keys, path)
    with cache(lab.workstation, "-m", "http.server", f"--directory={_CACHE}", str(_PORT)):
        assert substituting.sent(top) == [top]
    assert_kept_whole(server, lab.workstation, closure)
    nix.collect_garbage(server)
    assert_kept_whole(server, lab.workstation, closure)


def test_a_cache_that_says_nothing_costs_no_more_than_its_bound(
    lab: Lab, server: Host, substituting: Substituting
) -> None:
    closure = new_closure(lab.workstation)
    with cache(lab.workstation, "-c", _SILENT):
        text = substituting.text(closure[-1], "--substitute-timeout=3")
    assert " did not substitute all paths: " in text
    assert "no answer within 3 s" in text
    assert "sent " in text
    assert_kept_whole(server, lab.workstation, closure)


def test_a_cache_that_is_down_is_done_without(
    lab: Lab, server: Host, substituting: Substituting
) -> None:
    closure = new_closure(lab.workstation)
    assert closure[-1] in substituting.sent(closure[-1], "--substitute-timeout=5")
    assert_kept_whole(server, lab.workstation, closure)


def test_without_the_option_no_cache_is_asked(
    lab: Lab, server: Host, copier: Copier, keys: SigningKeys
) -> None:
    closure = new_closure(lab.workstation)
    publish(lab.workstation, keys, closure[-1])
    with cache(lab.workstation, "-m", "http.server", f"--directory={_CACHE}", str(_PORT)):
        assert closure[-1] in copier.copy(closure[-1], alias=alias(server))["sent"]
        assert lab.workstation.log("cache").count(closure[-1][11:43]) == 0
