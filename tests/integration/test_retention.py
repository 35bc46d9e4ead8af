"""The retention program of servers, and the module for NixOS, both run for real."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Iterator

import pytest

from lab import nfs, nix, sshd
from lab.commands import Outcome
from lab.host import Host
from lab.lab import Lab
from tests.conftest import AddEntry
from tests.integration.copier import Copier, new_closure

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
    nfs.hide_overlay(lab.server)
    script = lab.workstation.sh(f"nix-remote setup server {options} {' '.join(words)}")
    lab.server.run(["sh"], stdin=script).check()
    lab.server.stop_service("nix-daemon")
    nix.start_daemon(lab.server)


@pytest.fixture
def aged(lab: Lab, copier: Copier, entry: AddEntry) -> dict[int, str]:
    """Paths on the server, by how many days ago their roots were last used."""
    install(lab)
    nix.empty_store(lab.server)
    lab.server.sh(f"rm -rf /var/lib/{ACCOUNT}/.local/state/nix-remote/*")
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


def test_roots_that_were_not_used_for_long_go(lab: Lab, aged: dict[int, str]) -> None:
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


def test_a_root_goes_after_the_larger_of_two_contradictory_times(
    lab: Lab, aged: dict[int, str]
) -> None:
    words = ("--executors", "10.77.0.0/24", "--keep-roots", "12h")
    refused = lab.workstation.run(
        ["nix-remote", "setup", "server", "--public-key", "/root/.ssh/id_ed25519.pub", *words]
    )
    assert refused.status == 2
    assert "--keep-roots takes at least the grace time" in refused.stderr
    lab.server.sh(f"sed -i 's/^keep=.*/keep=3600/; s/^grace=.*/grace={5 * DAY}/' {COLLECT}")
    collect(lab.server).check()
    assert left(lab.server, aged) == [0, 2]


def test_run_as_root_it_removes_as_the_account(lab: Lab, aged: dict[int, str]) -> None:
    lab.server.run([COLLECT], timeout=60).check()
    assert left(lab.server, aged) == [0, 2, 10]
    state = lab.server.sh(f"stat -c %U /var/lib/{ACCOUNT}/.local/state/nix-remote/collect/*")
    assert set(state.split()) == {ACCOUNT}
    other = lab.server.run([COLLECT], user="copier", timeout=60)
    assert other.status == 1
    assert "run it as keeper, or as root" in other.stderr


def test_names_that_lead_elsewhere_are_not_followed(lab: Lab, aged: dict[int, str]) -> None:
    roots = f"/var/lib/{ACCOUNT}/.local/state/nix-remote/gcroots"
    lab.server.sh(
        f"""
        rm -rf /etc/outside; mkdir -p /etc/outside/package
        ln -s {aged[40]} /etc/outside/package/$(basename {aged[40]})
        touch -h -d '40 days ago' /etc/outside/package/*
        chown -R {ACCOUNT} /etc/outside
        ln -s /etc/outside {roots}/outside-12345678
        mkdir -p {roots}/app-1/package
        ln -s {aged[40]} "{roots}/app-1/package/"$'new\nline 1000 ..'
        touch -h -d '40 days ago' {roots}/app-1/package/*
        chown -hR {ACCOUNT} {roots}
        """
    )
    done = lab.server.run([COLLECT], timeout=60).check()
    assert "not made by copies, and stay: 2" in done.stdout
    assert lab.server.sh("ls /etc/outside/package | wc -l").strip() == "1"
    lab.server.sh(f"rm -rf /etc/outside {roots}/app-1 {roots}/outside-12345678")


@contextmanager
def clock(server: Host, jump: str) -> Iterator[None]:
    """A wrong clock, for all programs that run `date`."""
    server.write("/usr/local/bin/date", f'#!/bin/sh\nexec /usr/bin/date --date="{jump}" "$@"\n')
    server.sh("chmod 755 /usr/local/bin/date")
    try:
        yield
    finally:
        server.sh("rm /usr/local/bin/date")


def test_a_clock_that_jumps_removes_nothing(lab: Lab, aged: dict[int, str]) -> None:
    # Years ahead, at the first run already: no root seems to have been used.
    with clock(lab.server, "+10 years"):
        refused = collect(lab.server)
    assert refused.status == 1
    assert "none was used or made for" in refused.stderr
    # The clock is right, and this is known from now on.
    collect(lab.server).check()
    for jump in ("+20 days", "+3 hours", "-1 day", "-10 years"):
        with clock(lab.server, jump):
            refused = collect(lab.server)
        assert refused.status == 1
        assert "the clock has moved by" in refused.stderr
    assert left(lab.server, aged) == [0, 2, 10]
    # It is right again, or it is said to be.
    collect(lab.server).check()
    with clock(lab.server, "+25 days"):
        collect(lab.server, "--trust-clock").check()
    assert left(lab.server, aged) == [0, 2]


def test_a_root_made_under_a_wrong_clock_stays_until_the_next_run(
    lab: Lab, aged: dict[int, str]
) -> None:
    # A change time cannot be set, so the record of the last run is set half an hour ahead.
    state = f"/var/lib/{ACCOUNT}/.local/state/nix-remote/collect"
    collect(lab.server, "--dry-run").check()
    lab.server.sh(
        f"cd {state}; : >seen; echo $(($(date +%s) + 1800)) another-boot 0 >clock;"
        f" chown {ACCOUNT} seen clock; echo 0 0 >/run/uptime"
    )
    before = lab.server.read(COLLECT)
    lab.server.write(COLLECT, before.replace("/proc/uptime", "/run/uptime"), mode="755")
    collect(lab.server).check()
    assert left(lab.server, aged) == [0, 2, 10, 40]
    lab.server.write(COLLECT, before, mode="755")
    collect(lab.server, "--trust-clock").check()
    assert left(lab.server, aged) == [0, 2, 10]


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
    assert nfs["exports"] == "/nix/store 10.1.0.0/16(ro,sync,all_squash,subtree_check)"
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
