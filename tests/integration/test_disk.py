"""Paths that are valid in the server's database, but missing or changed on its disk.

How they are found and sent again, and whether the advice for accounts without the right to do so
works: the tests follow it.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Iterator

import pytest

from lab import nix, sshd
from lab.host import Host
from lab.lab import GUEST, Lab, alias
from lab.nix import SigningKeys, Version
from tests.conftest import AddEntry
from tests.integration.copier import Copier, new_closure
from tests.integration.server_versions import server_versions


@pytest.fixture(scope="module")
def keys(lab: Lab) -> SigningKeys:
    return nix.new_signing_keys(lab.workstation, "disk-1")


@pytest.fixture(scope="module", params=server_versions(Version.CURRENT))
def server(lab: Lab, request: pytest.FixtureRequest, keys: SigningKeys) -> Iterator[Host]:
    """A server that trusts the keys."""
    host = lab.server_with(request.param)
    with nix.configured(host, f"extra-trusted-public-keys = {keys.public}"):
        yield host


def middle(closure: list[str]) -> str:
    """A folder that the top path refers to: no command deletes it, for it is kept."""
    (path,) = (path for path in closure if "-middle-" in path)
    return path


def lose(server: Host, path: str) -> None:
    server.sh(f"rm -rf {path}")


def change(server: Host, path: str) -> None:
    server.sh(f"chmod -R u+w {path}; echo changed >> {path}/bin/run")


def is_whole(server: Host, *paths: str) -> bool:
    return server.run(["nix-store", "--verify-path", *paths]).status == 0


def damages(lab: Lab, check: str, host: str, path: str) -> dict[str, str]:
    """By path, what `plan` finds other than validity."""
    words = ["nix-remote", "plan", "--json", f"--host={host}", f"--check={check}", path]
    planned = json.loads(lab.workstation.run(words, timeout=60).check().stdout)["data"]["paths"]
    return {one["path"]: one["reason"] for one in planned if one["reason"] != "valid"}


def test_what_finds_damage_and_how_its_advice_mends_it(
    lab: Lab, server: Host, copier: Copier
) -> None:
    closure = new_closure(lab.workstation)
    host, top, path = alias(server), closure[-1], middle(closure)
    copier.copy(top, alias=host)
    assert damages(lab, "existence", host, top) == {}
    assert damages(lab, "contents", host, top) == {}

    lose(server, path)
    copier.copy(top, alias=host)  # goes by the database, as documented
    assert damages(lab, "existence", host, top) == {path: "gone"}
    assert damages(lab, "contents", host, top) == {path: "gone"}
    for check in ("existence", "contents"):
        text = copier.fails("content-damaged", f"--check={check}", top, alias=host)
        assert f"{path} is valid in the Nix database of {host}, but is not on its disk" in text
    advised = re.search(r"nix-remote copy --repair .*", text)
    assert advised is not None
    lab.workstation.run(shlex.split(advised[0]), timeout=60).check()
    assert is_whole(server, *closure)

    change(server, path)
    assert damages(lab, "existence", host, top) == {}
    assert damages(lab, "contents", host, top) == {path: "changed"}
    verify = ["nix-remote", "verify", "--json", f"--host={host}", top]
    done = lab.workstation.run(verify, timeout=60)
    found = {one["subject"]: one for one in json.loads(done.stdout)["data"]["findings"]}
    assert done.status == 1
    assert {path for path, one in found.items() if one["status"] == "broken"} == {path}
    _, _, advice = found[path]["fix"].partition(": ")
    lab.workstation.run(shlex.split(advice), timeout=60).check()
    assert is_whole(server, *closure)
    lab.workstation.run(verify, timeout=60).check()


def test_ensure_mends_what_is_gone_and_on_request_what_has_changed(
    lab: Lab, server: Host, copier: Copier
) -> None:
    closure = new_closure(lab.workstation)
    host, top, path = alias(server), closure[-1], middle(closure)
    base = lab.workstation.sh("mktemp -d").strip()
    manifest = f"{base}/external/p/bazel-support/nix-remote/manifest.json"
    copier.copy("--manifest", manifest, top, alias=host)

    def ensure(*words: str, status: int = 0) -> str:
        command = ["nix-remote", "ensure", f"--host={host}", "--output-base", base, *words]
        done = lab.workstation.run(command, timeout=60)
        assert done.status == status, done.text
        return done.text

    assert "none was lost" in ensure()
    lose(server, path)
    assert f"1 lost path sent again\n  {path}" in ensure().replace("nix-remote: ", "")
    assert is_whole(server, *closure)
    change(server, path)
    assert "none was lost" in ensure()
    assert "error[content-damaged]" in ensure("--check=contents", status=17)
    ensure("--repair")
    assert is_whole(server, *closure)


def test_who_may_copy_may_repair(lab: Lab, server: Host, copier: Copier, keys: SigningKeys) -> None:
    closure = new_closure(lab.workstation)
    guest, top, path = alias(server, GUEST), closure[-1], middle(closure)
    copier.copy("--sign-key", keys.secret, top, alias=guest)
    lose(server, path)
    copier.fails("signature-required", "--repair", top, alias=guest)
    copier.copy("--repair", "--sign-key", keys.secret, top, alias=guest)
    assert is_whole(server, *closure)


def test_the_advice_where_only_the_serve_protocol_may_be_spoken(
    lab: Lab, server: Host, copier: Copier
) -> None:
    closure = new_closure(lab.workstation)
    host, top, path = alias(server), closure[-1], middle(closure)
    serve = {"NIX_REMOTE_PROTOCOL": "serve"}
    copier.copy(top, alias=host, env=serve)
    for damage in (lose, change):
        damage(server, path)
        text = copier.fails("replacement-impossible", "--repair", top, alias=host, env=serve)
        here = re.search(r"On this machine: (.*)", text)
        there = re.search(r"as root:\n\s+(.*)", text)
        assert here is not None
        assert there is not None
        folder = lab.workstation.sh("mktemp -d").strip()
        lab.workstation.sh(f"cd {folder}; {here[1]}")
        packed = lab.workstation.sh(f"tar -C {folder} -cf - repair | base64")
        unpack = "rm -rf /root/repair; base64 -d | tar -C /root -xf -"
        server.run(["sh", "-c", unpack], stdin=packed).check()
        server.sh(there[1])
        assert is_whole(server, *closure)
    lose(server, path)
    copier.copy("--repair", top, alias=alias(server, "root"))
    assert is_whole(server, *closure)


def test_nothing_on_the_server_is_deleted_for_content_that_has_changed_here(
    lab: Lab, copier: Copier
) -> None:
    closure = new_closure(lab.workstation)
    top, path = closure[-1], middle(closure)
    copier.copy(top)
    change(lab.server, path)
    before = lab.server.sh(f"cat {path}/bin/run")
    change(lab.workstation, path)
    lab.workstation.sh(f"echo more >> {path}/bin/run")
    copier.fails("path-content-changed", "--repair", top)
    assert lab.server.sh(f"cat {path}/bin/run") == before


def test_the_least_account_looks_at_the_disk_and_repairs(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    keys = nix.new_signing_keys(lab.workstation, "least-1")
    sshd.public_key(lab.workstation)
    make = (
        "nix-remote setup server --account mender --public-key ~/.ssh/id_ed25519.pub"
        f" --trusted-key '{keys.public}'"
    )
    lab.server.run(["sh"], stdin=lab.workstation.sh(make)).check()
    host = entry("mender", "User mender")
    signed = {"NIX_REMOTE_SIGN_KEY_FILE": keys.secret}
    closure = new_closure(lab.workstation)
    top, path = closure[-1], middle(closure)
    with nix.configured(lab.server, f"extra-trusted-public-keys = {keys.public}"):
        copier.copy(top, alias=host, env=signed)
        lose(lab.server, path)
        copier.fails("content-damaged", "--check=existence", top, alias=host, env=signed)
        copier.copy("--repair", "--check=existence", top, alias=host, env=signed)
        assert is_whole(lab.server, *closure)
        change(lab.server, path)
        copier.copy("--repair", top, alias=host, env=signed)
        assert is_whole(lab.server, *closure)


def test_an_account_that_may_not_look_is_told_and_ensures_all_else(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    sshd.add_account(lab.server, "unseeing")
    options = 'restrict,command="nix-daemon --stdio"'
    sshd.authorize(lab.server, "unseeing", sshd.public_key(lab.workstation), options=options)
    host = entry("unseeing", "User unseeing")
    base = lab.workstation.sh("mktemp -d").strip()
    manifest = f"{base}/external/p/bazel-support/nix-remote/manifest.json"
    with nix.configured(lab.server, "trusted-users = root copier unseeing"):
        top = new_closure(lab.workstation)[-1]
        copier.copy("--manifest", manifest, top, alias=host)
        for check in ("--check=existence", "--check=contents"):
            text = copier.fails("contents-unreadable", check, top, alias=host)
            assert "the account may not run" in text
        ensure = ["nix-remote", "ensure", f"--host={host}", "--output-base", base]
        done = lab.workstation.run(ensure, timeout=60).check()
        assert "its disk was not checked" in done.text
        assert lab.workstation.run([*ensure, "--check=existence"], timeout=60).status == 18
