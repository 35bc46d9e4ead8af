"""The program that keeps a server from filling up, and the module for NixOS, both run for real."""

from __future__ import annotations

import json

import pytest

from tests.conftest import AddEntry
from tests.integration.copier import Copier, new_closure
from tests.lab import nix, sshd
from tests.lab.commands import Outcome
from tests.lab.host import Host
from tests.lab.lab import Lab

ACCOUNT = "keeper"
COLLECT = "/usr/local/bin/nix-remote-collect"
DAY = 86400


def install(lab: Lab, *words: str) -> None:
    """Runs the script of `setup server` on the server."""
    sshd.public_key(lab.workstation)
    options = f"--account {ACCOUNT} --public-key ~/.ssh/id_ed25519.pub --executors 10.77.0.0/24"
    # The lab's machines have no NFS server of the kernel's, and cannot download one.
    lab.server.sh("command -v exportfs || ln -s /bin/true /usr/local/bin/exportfs")
    lab.server.write("/etc/systemd/system/nfs-server.service", "[Service]\nExecStart=/bin/true\n")
    script = lab.workstation.sh(f"nix-remote setup server {options} {' '.join(words)}")
    lab.server.run(["sh"], stdin=script).check()
    lab.server.stop_service("nix-daemon")
    nix.start_daemon(lab.server)


@pytest.fixture
def aged(lab: Lab, copier: Copier, entry: AddEntry) -> dict[int, str]:
    """Paths on the server, by how many days ago their roots were last used."""
    install(lab)
    nix.empty_store(lab.server)
    alias = entry("keeper", f"HostName {lab.server.address}", f"User {ACCOUNT}")
    paths = {}
    for days in (0, 2, 10, 40):
        paths[days] = new_closure(lab.workstation)[-1]
        copier.copy(paths[days], alias=alias)
        name = paths[days].rpartition("/")[2]
        lab.server.sh(
            f"find /var/lib/{ACCOUNT} -name {name} -type l"
            f" -exec touch -h -d '{days} days ago' {{}} +"
        )
    return paths


def collect(server: Host, *words: str) -> Outcome:
    return server.run([COLLECT, *words], user=ACCOUNT, timeout=60)


def left(server: Host, aged: dict[int, str]) -> list[int]:
    return [days for days, path in aged.items() if nix.is_valid(server, path)]


def test_what_nobody_has_used_for_long_goes(lab: Lab, aged: dict[int, str]) -> None:
    would = collect(lab.server, "--dry-run").check()
    assert aged[40].rpartition("/")[2] in would.stdout
    assert len(would.stdout.splitlines()) == 2
    assert left(lab.server, aged) == [0, 2, 10, 40]
    done = collect(lab.server).check()
    assert "removed: " in done.stdout
    assert left(lab.server, aged) == [0, 2, 10]


def test_with_too_little_room_younger_ones_go_but_not_those_in_use(
    lab: Lab, aged: dict[int, str]
) -> None:
    install(lab, "--room 900T")
    failed = collect(lab.server)
    assert failed.status == 1
    assert "KiB free, and" in failed.stderr
    assert left(lab.server, aged) == [0]


def test_the_program_needs_no_power(lab: Lab, aged: dict[int, str]) -> None:
    assert "User=keeper" in lab.server.read("/etc/systemd/system/nix-remote-collect.service")
    assert lab.server.sh(f"stat -c '%U %a' {COLLECT}").split() == ["root", "755"]


def test_no_roots_yet(lab: Lab) -> None:
    install(lab)
    lab.server.sh(f"rm -rf /var/lib/{ACCOUNT}/.local/state/nix-remote/gcroots")
    collect(lab.server).check()


_STAND_INS = """
let
  pkgs = { writeScript = name: text: builtins.toFile name text; };
  made = import /root/nix-remote-server.nix { inherit pkgs; };
in
builtins.toJSON made
"""


_EVALUATE = ["nix-instantiate", "--eval", "--strict", "--read-write-mode", "-E", _STAND_INS]


def test_the_module_for_nixos_says_the_same(lab: Lab) -> None:
    workstation = lab.workstation
    sshd.public_key(workstation)
    workstation.sh(
        "nix-remote setup server --system nixos --public-key ~/.ssh/id_ed25519.pub"
        " --executors 10.1.0.0/16 --out /root"
    )
    evaluated = workstation.run(_EVALUATE).check()
    made = json.loads(json.loads(evaluated.stdout))
    nfs = made["services"]["nfs"]["server"]
    assert nfs["exports"] == "/nix/store 10.1.0.0/16(ro,sync,no_subtree_check,root_squash)"
    assert made["networking"]["firewall"]["allowedTCPPorts"] == [2049]
    (key,) = made["users"]["users"]["nix-remote"]["openssh"]["authorizedKeys"]["keys"]
    assert key.startswith('restrict,command="/usr/local/bin/nix-remote-dispatcher" ssh-ed25519 ')
    service = made["systemd"]["services"]["nix-remote-collect"]
    assert service["startAt"] == "daily"
    # The programs are the same, to the last byte.
    for name, file in (
        ("nix-remote-dispatcher", made["environment"]["etc"]["nix-remote/dispatcher"]["source"]),
        ("nix-remote-collect", service["serviceConfig"]["ExecStart"]),
    ):
        workstation.sh(
            "nix-remote setup server --public-key ~/.ssh/id_ed25519.pub"
            " --executors 10.1.0.0/16 --out /root/debian"
        )
        workstation.sh(f"cmp {file} /root/debian/usr/local/bin/{name}")
