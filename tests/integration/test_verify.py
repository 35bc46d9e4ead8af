"""`nix-remote verify` on the server: content that has changed, is gone, or never arrived."""

from __future__ import annotations

import json

from lab import nix, sshd
from lab.lab import ALIAS, Lab
from tests.conftest import AddEntry
from tests.integration.copier import Copier, new_closure


def statuses(lab: Lab, *words: str) -> dict[str, str]:
    """The findings by path."""
    done = lab.workstation.run(["nix-remote", "verify", "--json", *words], timeout=60)
    found = json.loads(done.stdout)["data"]["findings"]
    assert done.status == (1 if any(each["status"] == "broken" for each in found) else 0)
    return {each["subject"]: each["status"] for each in found}


def test_a_whole_closure(lab: Lab, copier: Copier) -> None:
    closure = new_closure(lab.workstation)
    copier.copy(closure[-1])
    assert statuses(lab, f"--host={ALIAS}", closure[-1]) == dict.fromkeys(closure, "ok")


def test_what_is_changed_gone_or_was_never_there(lab: Lab, copier: Copier) -> None:
    changed, gone, whole = (new_closure(lab.workstation)[-1] for _ in range(3))
    absent = new_closure(lab.workstation)[-1]
    for path in (changed, gone, whole):
        copier.copy(path)
    lab.server.sh(f"chmod u+w {changed}/references; printf x > {changed}/references; rm -r {gone}")
    try:
        found = statuses(lab, f"--host={ALIAS}", changed, gone, whole, absent)
        wanted = {changed: "broken", gone: "broken", whole: "ok", absent: "broken"}
        assert {path: found[path] for path in wanted} == wanted
    finally:
        nix.empty_store(lab.server)


def test_the_least_account_may_look(lab: Lab, copier: Copier, entry: AddEntry) -> None:
    closure = new_closure(lab.workstation)
    copier.copy(closure[-1])
    sshd.public_key(lab.workstation)
    make = "nix-remote setup server --account looker --public-key ~/.ssh/id_ed25519.pub"
    lab.server.run(["sh"], stdin=lab.workstation.sh(make)).check()
    alias = entry("looker", "User looker")
    assert statuses(lab, f"--host={alias}", closure[-1]) == dict.fromkeys(closure, "ok")


def test_an_account_that_may_not_look(lab: Lab, copier: Copier, entry: AddEntry) -> None:
    closure = new_closure(lab.workstation)
    copier.copy(closure[-1])
    sshd.add_account(lab.server, "blind")
    options = 'restrict,command="nix-daemon --stdio"'
    sshd.authorize(lab.server, "blind", sshd.public_key(lab.workstation), options=options)
    alias = entry("blind", "User blind")
    done = lab.workstation.run(["nix-remote", "verify", f"--host={alias}", closure[-1]], timeout=60)
    assert done.status == 18
    assert "error[contents-unreadable]" in done.stderr
