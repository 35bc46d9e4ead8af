"""What the copier reads from the local store, compared with Nix itself."""

from __future__ import annotations

import hashlib
import time
from typing import Iterator, Sequence

import pytest

from lab import content, nix, sshd
from lab.host import Host
from lab.lab import Lab, alias
from lab.nix import Version
from tests.integration.copier import Copier, new_closure

_PYTHON = "/opt/nix-remote/bin/python"


def python(host: Host, code: str, *arguments: str) -> str:
    return host.run([_PYTHON, "-I", "-c", code, *arguments]).check().stdout


_ALL_WAYS = """
import sys
from pathlib import Path
from nix_remote.local import daemon, database, serve
roots = sys.argv[1:]
by_serve = serve.closure_infos(roots)
by_daemon = daemon.closure_infos(Path("/nix/var/nix"), roots)
assert by_serve == by_daemon, (by_serve, by_daemon)
try:
    fast = database.closure_infos(Path("/nix/var/nix"), roots)
except database.DatabaseUnusable:
    print("no database")
else:
    assert fast == by_serve, (fast, by_serve)
    print("database")
print("\\n".join(by_serve))
"""


@pytest.fixture(
    scope="module", params=[Version.V2_8, Version.CURRENT], ids=lambda v: f"local-{v.value}"
)
def workstation(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A workstation with a Nix daemon, and a user of no privilege."""
    host = lab.workstation_with(request.param)
    sshd.add_account(host, "ordinary")
    nix.start_daemon(host)
    yield host
    host.stop_service("nix-daemon")


@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_the_database_the_serve_protocol_and_the_daemon_give_the_same_answer(
    workstation: Host, user: str
) -> None:
    closure = new_closure(workstation)
    absent = closure[-1].replace("-top-", "-absent-")
    command = [_PYTHON, "-I", "-c", _ALL_WAYS, closure[-1], absent]
    env = {"NIX_REMOTE": "daemon", "HOME": "/tmp"} if user == "ordinary" else {}
    way, *found = workstation.run(command, user=user, env=env).check().stdout.split("\n")
    assert sorted(filter(None, found)) == sorted(closure)
    if user == "root":
        assert way == "database"


def plant(host: Host, name: str, make: str, references: Sequence[str] = ()) -> str:
    """A store path that a shell script makes at `$out`; registered by hand, without a build.

    Modes and times become canonical, as those of every path.
    """
    path = f"/nix/store/{hashlib.sha256(name.encode()).hexdigest()[:32].replace('e', 'x')}-{name}"
    host.sh(f"out={path}; {make}")
    lines = "\n".join([path, "", str(len(references)), *references])
    host.run(["nix-store", "--register-validity"], stdin=f"{lines}\n", timeout=120).check()
    return path


_DEEP = (
    'mkdir "$out"; here="$out"; for n in $(seq {levels}); do here="$here/d"; done; mkdir -p "$here"'
)


def test_unusual_paths_are_the_same_by_all_ways_and_for_nix(
    lab: Lab, workstation: Host, copier: Copier
) -> None:
    run = f"{time.time_ns()}"
    small = content.make_closure(workstation, content.Shape(f"small-{run}", 2000))
    paths = [
        plant(workstation, f"hub-{run}", 'echo hub >"$out"', small),
        plant(workstation, f"files-{run}", 'mkdir "$out"; cd "$out"; seq 20000 | xargs touch'),
        plant(
            workstation,
            f"circle-{run}",
            'mkdir "$out"; ln -s . "$out/self"; ln -s b "$out/a"; ln -s a "$out/b"',
        ),
        plant(
            workstation,
            f"names-{run}",
            'mkdir "$out"; touch "$out/$(printf %0255d 1)"; mkdir "$out/$(printf %0255d 2)"',
        ),
        plant(workstation, f"deep-{run}", _DEEP.format(levels=60)),
    ]
    if nix.Version.V2_8.value in workstation.name:
        # Only what is older than Nix's own limit has them.
        paths.append(plant(workstation, f"deeper-{run}", _DEEP.format(levels=1100)))
    way, *found = python(workstation, _ALL_WAYS, *paths).split("\n")
    assert way == "database"
    assert set(filter(None, found)) == {*paths, *small}
    code = (
        "import sys, hashlib; from nix_remote.local.nar import nar_chunks\n"
        "digest = hashlib.sha256()\n"
        "for chunk in nar_chunks(sys.argv[1]): digest.update(chunk)\n"
        "print(digest.hexdigest())\n"
    )
    for path in paths:
        ours = python(workstation, code, path).strip()
        theirs = workstation.sh(f"nix-store --dump {path} | sha256sum").split()[0]
        assert ours == theirs, path
    for protocol in ("worker", "serve"):
        local = Copier(workstation)
        env = {"NIX_REMOTE_PROTOCOL": protocol}
        target = alias(lab.server_with(Version.V2_8))
        local.copy(*paths, alias=target, env=env)


def test_a_tree_that_is_too_deep_for_the_servers_nix_is_named(lab: Lab) -> None:
    old = lab.workstation_with(Version.V2_8)
    deep = plant(old, f"deep-{time.time_ns()}", _DEEP.format(levels=70))
    for protocol in ("worker", "serve"):
        env = {"NIX_REMOTE_PROTOCOL": protocol}
        text = Copier(old).fails("path-too-deep", deep, env=env)
        assert deep in text
        assert "64" in text
        Copier(old).copy(deep, alias=alias(lab.server_with(Version.V2_26)), env=env)


def test_an_ordinary_user_can_plan(workstation: Host) -> None:
    closure = new_closure(workstation)
    code = (
        "import sys\n"
        "from nix_remote import settings\n"
        "from nix_remote.local.store import LocalStore\n"
        "store = LocalStore(settings.choose(host='any').local_store)\n"
        "print('\\n'.join(info.path for info in store.closure(sys.argv[1:])))\n"
    )
    command = [_PYTHON, "-I", "-c", code, closure[-1]]
    done = workstation.run(command, user="ordinary", env={"HOME": "/home/ordinary"}).check()
    assert sorted(done.stdout.split()) == sorted(closure)


def test_another_store_is_looked_into_where_the_environment_says_so(
    lab: Lab, copier: Copier
) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.fails("path-not-valid", top, env={"NIX_STATE_DIR": "/root/other-state"})
    copier.fails("local-store-unavailable", top, env={"NIX_REMOTE": "unix:///no/such/socket"})


def test_a_database_that_cannot_be_read_is_no_obstacle(lab: Lab) -> None:
    # Like an unknown database: the copier falls back to Nix.
    closure = new_closure(lab.workstation)
    code = (
        "import sys; from nix_remote.local.store import LocalStore\n"
        "from nix_remote.settings import LocalStoreSettings as Settings\n"
        "from pathlib import Path\n"
        "store = LocalStore(Settings(state_directory=Path('/nonexistent')))\n"
        "print('\\n'.join(info.path for info in store.closure(sys.argv[1:])))\n"
    )
    assert sorted(python(lab.workstation, code, closure[-1]).split()) == sorted(closure)


def test_a_nar_is_what_nix_makes_of_it(lab: Lab) -> None:
    # Names that are not text, links, modes, empty files and folders.
    (path,) = nix.build_expression(
        lab.workstation,
        r"""
        pkgs.runCommand "odd" { } ''
          mkdir -p $out/empty $out/deep/er
          touch $out/empty-file $out/$'\xff\xfe' $out/" spaces "
          ln -s /no/where $out/link
          printf 1234567 > $out/seven; printf 12345678 > $out/eight
          printf '#!' > $out/deep/er/run; chmod 555 $out/deep/er/run
        ''
        """,
    )
    code = (
        "import sys, hashlib; from nix_remote.local.nar import nar_chunks\n"
        "print(hashlib.sha256(b''.join(nar_chunks(sys.argv[1]))).hexdigest())\n"
    )
    for store_path in (path, *nix.closure(lab.workstation, new_closure(lab.workstation)[-1])):
        ours = python(lab.workstation, code, store_path).strip()
        theirs = lab.workstation.sh(f"nix-store --dump {store_path} | sha256sum").split()[0]
        assert ours == theirs, store_path
