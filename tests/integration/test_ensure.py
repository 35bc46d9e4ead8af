"""`nix-remote ensure` in a workspace by another author: it does only what this user named.

What a clone or an archive can contain is put in place here, before a real server.
"""

from __future__ import annotations

import itertools
import json
from typing import Final, Iterator

import pytest

from lab.commands import Outcome
from lab.lab import ALIAS, Lab
from tests.integration.copier import Copier, new_closure

_numbers = itertools.count(1)
PLACE: Final = "bazel-support/nix-remote/manifest.json"
TARGET: Final = "/etc/profile.d/evil.sh"


def ensure(lab: Lab, folder: str, *words: str, host: str = ALIAS) -> Outcome:
    command = ["env", f"--chdir={folder}", "nix-remote", "ensure", *words]
    return lab.workstation.run(command, env={"BAZEL_NIX_REMOTE": host}, timeout=120)


def forged(path: str, host: str) -> str:
    fields = {"version": 2, "host": host, "workspace": "/w", "package": "x", "time": 1}
    roots = {"roots": {path: TARGET}, "paths": [path]}
    return '{"mac": "' + "0" * 64 + '",\n' + json.dumps({**fields, **roots})[1:]


@pytest.fixture
def clone(lab: Lab) -> Iterator[str]:
    """A workspace that carries an output base of its own, and a link to it."""
    folder = f"/root/clone-{next(_numbers)}"
    lab.workstation.sh(
        f"mkdir -p {folder}/ob/execroot/_main/bazel-out;"
        f" ln -s {folder}/ob/execroot/_main/bazel-out {folder}/bazel-out;"
        f" printf %s {folder} >{folder}/ob/DO_NOT_BUILD_HERE"
    )
    yield folder
    lab.workstation.sh(f"rm -r {folder}")


def test_a_clone_with_an_output_base_of_its_own_is_not_followed(lab: Lab, clone: str) -> None:
    path = new_closure(lab.workstation)[-1]
    lab.workstation.write(f"{clone}/ob/external/evil/{PLACE}", forged(path, "nix-server-root"))
    done = ensure(lab, clone)
    assert done.status == 2
    assert "error[output-base-not-found]" in done.stderr


def test_a_manifest_in_an_archive_is_named_and_has_no_effect(
    lab: Lab, copier: Copier, clone: str
) -> None:
    good, evil = new_closure(lab.workstation)[-1], new_closure(lab.workstation)[-1]
    base = f"{clone}/ob"
    manifest = f"--manifest={base}/external/good/{PLACE}"
    copier.copy(manifest, good)
    lab.workstation.write(f"{base}/external/evil/{PLACE}", forged(evil, "nix-server-root"))
    before = lab.ssh_server.logins()
    done = ensure(lab, "/", f"--output-base={base}")
    assert done.status == 18
    assert f"external/evil/{PLACE}: no fetch of this user wrote it" in done.stderr
    assert lab.ssh_server.logins() == before + 1
    assert lab.server.run(["test", "-e", TARGET]).status == 1
    assert lab.server.run(["nix-store", "--check-validity", evil]).status != 0


def test_a_cut_manifest_is_not_success(lab: Lab, copier: Copier, clone: str) -> None:
    base = f"{clone}/ob"
    copier.copy(f"--manifest={base}/external/cut/{PLACE}", new_closure(lab.workstation)[-1])
    lab.workstation.sh(f"truncate -s 0 {base}/external/cut/{PLACE}")
    done = ensure(lab, "/", f"--output-base={base}")
    assert done.status == 18
    assert f"external/cut/{PLACE}" in done.stderr


def test_a_host_that_was_not_named_is_not_contacted(lab: Lab, copier: Copier, clone: str) -> None:
    base = f"{clone}/ob"
    copier.copy(f"--manifest={base}/external/one/{PLACE}", new_closure(lab.workstation)[-1])
    before = lab.ssh_server.logins()
    done = ensure(lab, "/", f"--output-base={base}", host="elsewhere").check()
    assert f"not checked: {ALIAS}, to which packages were copied as well" in done.stderr
    assert lab.ssh_server.logins() == before


def test_it_works_without_home_and_the_key_is_private(lab: Lab, copier: Copier, clone: str) -> None:
    # As Bazel starts a fetch with a strict environment.
    base, path = f"{clone}/ob", new_closure(lab.workstation)[-1]
    words = copier.command(f"--manifest={base}/external/strict/{PLACE}", path)
    lab.workstation.run(["env", "-u", "HOME", *words], timeout=120).check()
    assert "none was lost" in ensure(lab, "/", f"--output-base={base}").check().stderr
    key = "/root/.local/state/nix-remote/manifest-key"
    assert lab.workstation.sh(f"stat -c %a {key}").strip() == "600"
