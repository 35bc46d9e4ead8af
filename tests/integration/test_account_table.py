"""Every account of docs/security.md, on every version of Nix, over both transports.

One copy and one `roots list`, as a user would run them, show the rights of an account.
Every run uses the current version of Nix; --thorough adds the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

import pytest

from lab import nix, sshd
from lab.host import Host
from lab.lab import ACCOUNT, GUEST, Lab
from lab.nix import SigningKeys, Version
from tests.conftest import AddEntry
from tests.integration.copier import (
    Copier,
    assert_kept_whole,
    new_closure,
    over_both_transports,
    root_links,
)
from tests.integration.server_versions import server_versions

pytestmark = pytest.mark.timeout(180)

_WORKER, _SERVE, _DISPATCHED = "table-worker", "table-serve", "table-dispatched"


@dataclass(frozen=True)
class Row:
    """An account; the error code of a copy, and the result of `roots list`."""

    name: str
    account: str
    home: str
    signs: bool = True
    refused: str = ""
    refused_before_2_20: str = ""
    lists_roots: bool = True

    def expected(self, version: Version) -> str:
        """The error code of a copy; empty if the copy keeps the promise."""
        if version is Version.V2_8 and self.refused_before_2_20:
            return self.refused_before_2_20
        return self.refused


ROWS = [
    Row("root", "root", "/root", signs=False),
    Row("trusted", ACCOUNT, f"/home/{ACCOUNT}", signs=False),
    Row("ordinary", GUEST, f"/home/{GUEST}", signs=False, refused="signature-required"),
    Row("ordinary-signing", GUEST, f"/home/{GUEST}"),
    Row(
        "only-nix-daemon",
        _WORKER,
        f"/home/{_WORKER}",
        refused_before_2_20="root-refused",
        lists_roots=False,
    ),
    Row(
        "only-nix-store-serve",
        _SERVE,
        f"/home/{_SERVE}",
        refused="root-refused",
        lists_roots=False,
    ),
    Row("dispatcher", _DISPATCHED, f"/var/lib/{_DISPATCHED}"),
]


@pytest.fixture(scope="module")
def keys(lab: Lab) -> SigningKeys:
    return nix.new_signing_keys(lab.workstation, "table-1")


@pytest.fixture(scope="module", params=server_versions(Version.CURRENT))
def version(request: pytest.FixtureRequest) -> Version:
    chosen: Version = request.param
    return chosen


@pytest.fixture(scope="module")
def server(lab: Lab, version: Version, keys: SigningKeys) -> Iterator[Host]:
    """A server that trusts the keys, with all the accounts."""
    host = lab.server_with(version)
    login = sshd.public_key(lab.workstation)
    for account, command in (
        (_WORKER, "nix-daemon --stdio"),
        (_SERVE, "nix-store --serve --write"),
    ):
        sshd.add_account(host, account)
        sshd.authorize(host, account, login, options=f'restrict,command="{command}"')
    make = f"nix-remote setup server --account {_DISPATCHED} --public-key ~/.ssh/id_ed25519.pub"
    host.run(["sh"], stdin=lab.workstation.sh(make)).check()
    with nix.configured(host, f"extra-trusted-public-keys = {keys.public}"):
        yield host


@over_both_transports
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_account_does_what_the_table_says(
    lab: Lab,
    copier: Copier,
    entry: AddEntry,
    server: Host,
    version: Version,
    keys: SigningKeys,
    row: Row,
) -> None:
    closure = new_closure(lab.workstation)
    top = closure[-1]
    alias = entry("row", f"HostName {server.address}", f"User {row.account}")
    sign = ("--sign-key", keys.secret) if row.signs else ()
    refused = row.expected(version)
    if refused:
        copier.fails(refused, *sign, top, alias=alias)
        assert top not in root_links(server, row.home).values()
        # Without trust, nothing is sent; without a durable root, all of it has been sent.
        assert nix.is_valid(server, top) == (refused != "signature-required")
    else:
        copier.copy(*sign, top, alias=alias)
        nix.collect_garbage(server)
        assert_kept_whole(server, lab.workstation, closure)
        assert top in root_links(server, row.home).values()

    transport = f"--transport={copier.transport}"
    listing = ["nix-remote", "roots", f"--host={alias}", transport, "list"]
    listed = lab.workstation.run(listing, timeout=60)
    if row.lists_roots:
        assert (top in listed.check().stderr) == (not refused)
    else:
        assert listed.status == 18
        assert "error[roots-unreadable]" in listed.stderr
