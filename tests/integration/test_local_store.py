"""What the copier reads on this side, against Nix itself."""

from __future__ import annotations

from tests.integration.copier import new_closure
from tests.lab import nix
from tests.lab.host import Host
from tests.lab.lab import Lab

_PYTHON = "/opt/nix-remote/bin/python"


def python(host: Host, code: str, *arguments: str) -> str:
    return host.run([_PYTHON, "-I", "-c", code, *arguments]).check().stdout


_BOTH_WAYS = """
import sys
from pathlib import Path
from nix_remote.local import database, serve
roots = sys.argv[1:]
fast = database.closure_infos(Path("/nix/var/nix"), roots)
slow = serve.closure_infos(roots)
assert fast == slow, (fast, slow)
print("\\n".join(fast))
"""


def test_the_database_and_nix_give_the_same_answer(lab: Lab) -> None:
    closure = new_closure(lab.workstation)
    absent = closure[-1].replace("-top-", "-absent-")
    found = python(lab.workstation, _BOTH_WAYS, closure[-1], absent).split()
    assert sorted(found) == sorted(closure)


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
