"""Which accounts may send which paths: root, trusted users, and others with a signing key."""

from __future__ import annotations

import re
from typing import Iterator

import pytest

from lab import nix
from lab.host import Host
from lab.lab import GUEST, Lab, alias
from lab.nix import SigningKeys, Version
from nix_remote.server.trust import PROBE
from tests.integration.copier import (
    Copier,
    assert_kept_whole,
    new_closure,
    over_both_transports,
    root_links,
)
from tests.integration.server_versions import server_versions

EXPERIMENTAL = ("--extra-experimental-features", "nix-command")


@pytest.fixture(scope="module")
def keys(lab: Lab) -> SigningKeys:
    return nix.new_signing_keys(lab.workstation, "lab-1")


@pytest.fixture(scope="module", params=server_versions(Version.V2_8, Version.CURRENT))
def server(lab: Lab, request: pytest.FixtureRequest, keys: SigningKeys) -> Iterator[Host]:
    """A server that trusts the keys."""
    host = lab.server_with(request.param)
    with nix.configured(host, f"extra-trusted-public-keys = {keys.public}"):
        yield host


@pytest.fixture(params=["worker", "serve"])
def env(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"NIX_REMOTE_PROTOCOL": request.param}


def test_an_ordinary_user_with_a_key_that_the_server_trusts_is_enough(
    lab: Lab, server: Host, copier: Copier, keys: SigningKeys, env: dict[str, str]
) -> None:
    closure = new_closure(lab.workstation, megabytes=1)
    guest = alias(server, GUEST)
    copier.copy("--sign-key", keys.secret, closure[-1], alias=guest, env=env)
    assert_kept_whole(server, lab.workstation, closure)
    assert closure[-1] in root_links(server, f"/home/{GUEST}").values()
    nix.collect_garbage(server)
    assert_kept_whole(server, lab.workstation, closure)
    by_environment = new_closure(lab.workstation)[-1]
    copier.copy(by_environment, alias=guest, env={**env, "NIX_REMOTE_SIGN_KEY_FILE": keys.secret})


def test_an_unsigned_path_is_refused_before_its_first_byte_with_three_ways_out(
    lab: Lab, server: Host, copier: Copier, env: dict[str, str]
) -> None:
    closure = new_closure(lab.workstation)
    guest = alias(server, GUEST)
    text = copier.fails("signature-required", closure[-1], alias=guest, env=env)
    fixes = ["1. sign", "--sign-key FILE", "2. let", "extra-trusted-public-keys", "3. let"]
    positions = [text.index(fix) for fix in (*fixes, "trusted-users = root guest")]
    assert positions == sorted(positions)
    assert re.search(r"has no signature, and \d+ more ha(s|ve) none", text)
    # Not even what comes before the unsigned ones.
    own = [path for path in closure if re.search("-(leaf|middle|top)-", path)]
    assert len(own) == 3
    for path in own:
        assert server.run(["test", "-e", path]).status == 1


def test_unsigned_copies_of_an_ordinary_user_to_a_server_that_requires_no_signatures(
    lab: Lab, server: Host, copier: Copier
) -> None:
    with nix.configured(server, "require-sigs = false"):
        for protocol in ("worker", "serve"):
            closure = new_closure(lab.workstation)
            guest, env = alias(server, GUEST), {"NIX_REMOTE_PROTOCOL": protocol}
            copier.copy(closure[-1], alias=guest, env=env)
            assert_kept_whole(server, lab.workstation, closure)
            # What is there already, and a path beside it: another look.
            copier.copy(closure[-1], new_closure(lab.workstation)[-1], alias=guest, env=env)


def test_an_account_that_is_not_in_allowed_users_is_told_so_at_once(
    lab: Lab, server: Host, copier: Copier
) -> None:
    guest, top = alias(server, GUEST), new_closure(lab.workstation)[-1]
    with nix.configured(server, "allowed-users = root copier"):
        for protocol in ("auto", "worker", "serve"):
            text = copier.fails(
                "account-not-allowed",
                top,
                alias=guest,
                env={"NIX_REMOTE_PROTOCOL": protocol},
                within=60,
            )
            assert "does not serve the account guest" in text
            assert "add guest to allowed-users" in text
            assert "trying again" not in text


@pytest.mark.parametrize("account", ["copier", "root"])
def test_those_that_the_server_trusts_need_no_key(
    lab: Lab, server: Host, copier: Copier, env: dict[str, str], account: str
) -> None:
    closure = new_closure(lab.workstation)
    copier.copy(closure[-1], alias=alias(server, account), env=env)
    assert_kept_whole(server, lab.workstation, closure)
    nix.collect_garbage(server)
    assert server.sh(f"ls /nix/store | grep {PROBE.path[44:]} || true") == ""


def test_a_key_that_the_server_does_not_trust_is_named(
    lab: Lab, server: Host, copier: Copier, env: dict[str, str]
) -> None:
    stranger = nix.new_signing_keys(lab.workstation, "stranger-1")
    top = new_closure(lab.workstation)[-1]
    words = ("--sign-key", stranger.secret, top)
    text = copier.fails("signature-required", *words, alias=alias(server, GUEST), env=env)
    assert "is signed by stranger-1, a key that it does not trust" in text
    assert not nix.is_valid(server, top)


def test_signatures_are_those_that_nix_makes_and_the_server_keeps_them(
    lab: Lab, server: Host, copier: Copier, keys: SigningKeys
) -> None:
    closure = new_closure(lab.workstation)
    other = nix.new_signing_keys(lab.workstation, "other-1")
    sign = ["nix", *EXPERIMENTAL, "store", "sign", "--key-file", other.secret]
    lab.workstation.run([*sign, *closure]).check()
    copier.copy("--sign-key", keys.secret, closure[-1], alias=alias(server, GUEST))
    shown = server.run(["nix", *EXPERIMENTAL, "path-info", "--sigs", closure[-1]]).check().stdout
    assert "lab-1:" in shown
    assert "other-1:" in shown
    for key in (keys.public, other.public):
        verify = ["nix", *EXPERIMENTAL, "store", "verify", "--no-contents", "--sigs-needed", "1"]
        server.run([*verify, "--trusted-public-keys", key, closure[-1]]).check()
    # Byte by byte, too: what Nix itself signs with that key.
    own = ["nix", *EXPERIMENTAL, "store", "sign", "--key-file", keys.secret, closure[-1]]
    lab.workstation.run(own).check()
    here = lab.workstation.run(["nix", *EXPERIMENTAL, "path-info", "--sigs", closure[-1]]).check()
    assert next(word for word in here.stdout.split() if word.startswith("lab-1:")) in shown


@over_both_transports
def test_what_is_signed_already_needs_no_key(
    lab: Lab, server: Host, copier: Copier, keys: SigningKeys
) -> None:
    closure = new_closure(lab.workstation)
    sign = ["nix", *EXPERIMENTAL, "store", "sign", "--key-file", keys.secret]
    lab.workstation.run([*sign, *closure]).check()
    copier.copy(closure[-1], alias=alias(server, GUEST))
    assert_kept_whole(server, lab.workstation, closure)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        ("true", "No such file or directory"),
        ("cp public key", "this is a public key"),
        ("echo hello > key", "not of the form NAME:BASE64"),
        ("echo 'a-1:!!' > key", "not base 64"),
        ("echo 'a-1:aGVsbG8=' > key", "the key has 5 bytes, not 64"),
        ("head -c 64 /dev/urandom > key", "not a text file"),
    ],
)
def test_a_file_that_is_no_secret_key_is_told_so_at_once(
    lab: Lab, copier: Copier, make: str, why: str
) -> None:
    keys = nix.new_signing_keys(lab.workstation, "some-1")
    top = new_closure(lab.workstation)[-1]
    folder = lab.workstation.sh("mktemp -d").strip()
    lab.workstation.write(f"{folder}/public", keys.public)
    lab.workstation.sh(f"cd {folder}; {make}")
    text = copier.fails("signing-key-unusable", "--sign-key", f"{folder}/key", top, within=5)
    assert why in text
    assert "nix-store --generate-binary-cache-key" in text
