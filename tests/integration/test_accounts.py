"""Accounts that may run one command only: which protocol is chosen, and what cannot be promised."""

from __future__ import annotations

import pytest

from tests.conftest import AddEntry
from tests.integration.copier import Copier, assert_kept_whole, new_closure
from tests.lab import nix, sshd
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.nix import Version

_WORKER = "nix-daemon --stdio"
_SERVE = "nix-store --serve --write"


def restricted(server: Host, workstation: Host, name: str, command: str) -> str:
    """A trusted account that may run that command and nothing else."""
    sshd.add_account(server, name)
    sshd.authorize(
        server, name, sshd.public_key(workstation), options=f'restrict,command="{command}"'
    )
    server.sh(f"echo 'extra-trusted-users = {name}' >> /etc/nix/nix.conf")
    server.stop_service("nix-daemon")
    nix.start_daemon(server)
    return name


def test_the_worker_protocol_alone_is_enough(lab: Lab, copier: Copier, entry: AddEntry) -> None:
    account = restricted(lab.server, lab.workstation, "worker-only", _WORKER)
    closure = new_closure(lab.workstation)
    alias = entry("odd", f"User {account}")
    text = copier.run("-v", closure[-1], alias=alias).check().stderr
    assert "worker protocol 1.37" in text
    assert f"/home/{account}/.local/state/nix-remote/gcroots/" in text
    assert_kept_whole(lab.server, lab.workstation, closure)
    nix.collect_garbage(lab.server)
    assert_kept_whole(lab.server, lab.workstation, closure)


def test_an_account_for_the_serve_protocol_is_recognised_and_its_lack_of_roots_is_told(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    account = restricted(lab.server, lab.workstation, "serve-only", _SERVE)
    closure = new_closure(lab.workstation)
    text = copier.fails(
        "collector-not-awaited", "-v", closure[-1], alias=entry("odd", f"User {account}")
    )
    assert "serve protocol 2.7, because Nix on odd ended the session" in text
    assert "nix-store --gc --max-freed 0" in text
    # What was sent is there; that it stays is what cannot be promised.
    assert_kept_whole(lab.server, lab.workstation, closure)


def test_an_old_server_needs_more_than_the_worker_protocol(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    server = lab.server_with(Version.V2_8)
    account = restricted(server, lab.workstation, "worker-only", _WORKER)
    alias = entry(
        "odd",
        f"HostName {server.address}",
        f"User {account}",
    )
    text = copier.fails("root-refused", new_closure(lab.workstation)[-1], alias=alias)
    assert ".local/state/nix-remote/gcroots" in text


@pytest.mark.parametrize("command", [_WORKER, _SERVE])
def test_roots_cannot_be_listed_without_a_shell(lab: Lab, entry: AddEntry, command: str) -> None:
    name = f"listing-{command.split()[0]}"
    account = restricted(lab.server, lab.workstation, name, command)
    alias = entry("odd", f"User {account}")
    listed = lab.workstation.run(["nix-remote", "roots", f"--host={alias}", "list"], timeout=60)
    assert listed.status == 18
    assert "error[roots-unreadable]" in listed.stderr
