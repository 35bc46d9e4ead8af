"""What the copier reads on this side, against Nix itself."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.integration.copier import Copier, new_closure
from tests.lab import nix, sshd
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.nix import Version

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
    # As another store would be: the copier falls back on Nix.
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
