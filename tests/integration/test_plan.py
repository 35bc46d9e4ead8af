"""`nix-remote plan` prints what a copy would send, and sends nothing."""

from __future__ import annotations

import json

from lab import nix
from lab.lab import ALIAS, Lab
from tests.integration.copier import Copier, new_closure, root_links


def test_the_plan_is_what_the_copy_then_sends(lab: Lab, copier: Copier) -> None:
    closure = new_closure(lab.workstation, megabytes=1)
    top = closure[-1]
    copier.copy(*closure[:-1])
    roots = root_links(lab.server)
    plan = ["nix-remote", "plan", "--host", ALIAS, top]

    data = json.loads(lab.workstation.run([*plan, "--json"]).check().stdout)["data"]
    assert {one["path"]: one["reason"] for one in data["paths"]} == {
        path: "missing" if path == top else "valid" for path in closure
    }
    assert data["missing_paths"] == 1
    assert data["missing_bytes"] == nix.registration(lab.workstation, top).nar_size

    text = lab.workstation.run(plan).check()
    assert text.stdout == ""
    assert f"{ALIAS} lacks 1 of {len(closure)} paths" in text.stderr
    assert f"{top}\n" in text.stderr

    assert not nix.is_valid(lab.server, top)
    assert root_links(lab.server) == roots
    assert copier.copy(top)["sent"] == [top]


def test_a_difference_in_content_is_seen_on_request(lab: Lab, copier: Copier) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.copy(top)
    # As a build on the server that is not reproducible would leave it.
    lab.server.sh(
        f"""
        chmod u+w {top}/references; echo >> {top}/references
        hash=$(nix-store --dump {top} | sha256sum | cut -d' ' -f1)
        python3 -c "import sqlite3, sys; d = sqlite3.connect('/nix/var/nix/db/db.sqlite');
        d.execute('UPDATE ValidPaths SET hash = ? WHERE path = ?', ('sha256:$hash', '{top}'));
        d.commit()"
        """.replace("\n        d.", " d.")
    )
    assert copier.copy(top)["sent"] == []
    text = copier.fails("content-differs", "--check=contents", top)
    advice = f"nix-remote copy --repair --host {ALIAS} {top}"
    assert advice in text
    plan = ["nix-remote", "plan", "--host", ALIAS, "--check=contents", top]
    assert "  different  " in lab.workstation.run(plan).check().stderr
    lab.workstation.sh(advice)
    assert copier.copy("--check=contents", top)["sent"] == []
