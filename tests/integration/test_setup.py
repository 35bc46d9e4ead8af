"""`nix-remote setup ssh`, from nothing to a first copy."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from lab import sshd
from lab.commands import Outcome
from lab.host import Host
from lab.lab import ACCOUNT, Lab
from tests.integration.copier import Copier, new_closure

CONFIG, KNOWN = "/root/.ssh/config", "/root/.ssh/known_hosts"


@pytest.fixture
def workstation(lab: Lab) -> Iterator[Host]:
    """The workstation; afterwards its SSH files are as they were."""
    lab.workstation.sh("rm -rf /root/ssh-before; cp -a /root/.ssh /root/ssh-before")
    yield lab.workstation
    lab.workstation.sh("rm -rf /root/.ssh; mv /root/ssh-before /root/.ssh")


def set_up(workstation: Host, *words: str) -> Outcome:
    return workstation.run(["nix-remote", "setup", *words], timeout=30)


def as_json(workstation: Host, *words: str) -> dict[str, Any]:
    command = ["nix-remote", "setup", "--json", *words]
    data: dict[str, Any] = json.loads(workstation.run(command, timeout=30).check().stdout)["data"]
    return data


def entry(lab: Lab) -> list[str]:
    where = [f"--hostname={lab.server.address}", f"--port={sshd.PORT}", f"--user={ACCOUNT}"]
    return ["ssh", "fresh", *where, "--identity=~/.ssh/fresh", "--create-key"]


def test_from_nothing_to_a_first_copy(lab: Lab, workstation: Host, copier: Copier) -> None:
    workstation.sh(f": > {KNOWN}")
    before = workstation.read(CONFIG)
    shown = set_up(workstation, *entry(lab)).check()
    assert "+Host fresh\n" in shown.stdout
    assert "not written without --write" in shown.stderr
    assert workstation.read(CONFIG) == before
    assert workstation.run(["test", "-e", "/root/.ssh/fresh"]).status == 1
    assert workstation.read(KNOWN) == ""

    fingerprint = lab.server.sh("ssh-keygen -lf /etc/ssh/lab_host_key.pub").split()[1]
    assert f"--record-host-key {fingerprint}" in shown.stderr
    done = as_json(workstation, *entry(lab), "--write", f"--record-host-key={fingerprint}")
    assert done["written"]
    assert done["host_key_recorded"]
    assert done["overruled"] == []
    assert before.strip() in workstation.read(CONFIG)
    assert workstation.read(f"{CONFIG}.before-nix-remote") == before
    assert workstation.sh(f"stat -c %a {CONFIG} ~/.ssh/fresh").split() == ["600", "600"]

    sshd.authorize(lab.server, ACCOUNT, done["authorized_key"])
    copier.copy(new_closure(workstation)[-1], alias="fresh")
    again = set_up(workstation, *entry(lab), "--write").check()
    assert again.stdout == ""
    assert "config: unchanged" in again.stderr


def test_a_host_key_is_recorded_only_if_it_is_the_one_that_is_expected(
    lab: Lab, workstation: Host
) -> None:
    workstation.sh(f": > {KNOWN}")
    wrong = f"SHA256:{'A' * 43}"
    refused = set_up(workstation, *entry(lab), "--write", f"--record-host-key={wrong}")
    assert refused.status == 2
    assert "error[setup-input-unusable]" in refused.stderr
    assert "which is ssh-ed25519 SHA256:" in refused.stderr
    assert workstation.read(KNOWN) == ""


def test_a_line_that_wins_over_the_new_entry_is_told(lab: Lab, workstation: Host) -> None:
    workstation.write(CONFIG, f"User somebody\n{workstation.read(CONFIG)}", mode="600")
    done = set_up(workstation, *entry(lab), "--write").check()
    assert "overridden by an earlier line: User somebody" in done.stderr


def test_a_server_that_is_not_there_is_told_as_ever(lab: Lab, workstation: Host) -> None:
    refused = set_up(workstation, "ssh", "fresh", f"--hostname={lab.server.address}", "--port=1")
    assert "error[connection-refused]" in refused.stderr
    assert refused.status == 12


@pytest.mark.parametrize("made", ["mknod -m 666 {0} c 1 3", "mkfifo {0}", "ln -s /dev/null {0}"])
def test_what_is_no_file_of_known_hosts_is_not_made_one(
    lab: Lab, workstation: Host, made: str
) -> None:
    place = "/root/.ssh/nothing"
    workstation.sh(made.format(place))
    before = workstation.sh(f"stat -c '%F %t %T' {place}")
    config = f"UserKnownHostsFile {place}\n{workstation.read(CONFIG)}"
    workstation.write(CONFIG, config, mode="600")
    fingerprint = lab.server.sh("ssh-keygen -lf /etc/ssh/lab_host_key.pub").split()[1]
    refused = set_up(workstation, *entry(lab), "--write", f"--record-host-key={fingerprint}")
    assert refused.status == 2
    assert "takes a regular file" in refused.stderr
    assert workstation.sh(f"stat -c '%F %t %T' {place}") == before


def test_links_owners_and_permissions_of_files_stay(lab: Lab, workstation: Host) -> None:
    workstation.sh(
        f"mkdir /root/.ssh/dotfiles; mv {CONFIG} {KNOWN} /root/.ssh/dotfiles;"
        f" ln -s dotfiles/config {CONFIG}; ln -s dotfiles/known_hosts {KNOWN};"
        " : > /root/.ssh/dotfiles/known_hosts; chmod 640 /root/.ssh/dotfiles/*;"
        " chown 0:12 /root/.ssh/dotfiles/*"
    )
    fingerprint = lab.server.sh("ssh-keygen -lf /etc/ssh/lab_host_key.pub").split()[1]
    set_up(workstation, *entry(lab), "--write", f"--record-host-key={fingerprint}").check()
    assert workstation.sh(f"stat -c %F {CONFIG} {KNOWN} | sort -u").strip() == "symbolic link"
    seen = workstation.sh(f"stat -Lc '%a %g %s' {CONFIG} {KNOWN}").splitlines()
    assert [line.split()[:2] for line in seen] == [["640", "12"], ["640", "12"]]
    assert "Host fresh\n" in workstation.read(CONFIG)
    assert "ssh-ed25519" in workstation.read(KNOWN)


def test_a_read_only_config_is_left_alone(lab: Lab, workstation: Host) -> None:
    workstation.sh(f"chmod 400 {CONFIG}")
    before = workstation.read(CONFIG)
    refused = set_up(workstation, *entry(lab), "--write")
    assert refused.status == 2
    assert "is read-only" in refused.stderr
    assert workstation.read(CONFIG) == before
