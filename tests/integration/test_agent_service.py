"""The agent as a service: a real systemd of the user starts it at the first connection."""

from __future__ import annotations

import itertools
from typing import Iterator

import pytest

from lab import nix, sshd
from lab.content import Shape, make_closure
from lab.host import wait_until
from lab.lab import ACCOUNT, Lab
from lab.user_manager import RUNTIME, UserManager
from tests.integration.copier import assert_kept_whole, new_closure
from tests.integration.herd import Herd
from tests.integration.test_interruptions import in_the_middle

SOCKET, SERVICE = "nix-remote-agent.socket", "nix-remote-agent.service"
_COPIERS = 6
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def running_manager(lab: Lab, herd: Herd) -> Iterator[UserManager]:
    """A service manager with the units that `nix-remote setup agent` makes."""
    manager = UserManager(lab.workstation)
    with manager.running():
        # A unit of Debian's OpenSSH sets it, and the copiers of the tests have none.
        manager.systemctl("unset-environment", "SSH_AUTH_SOCK").check()
        lab.workstation.run(["nix-remote", "setup", "agent", "--write"]).check()
        manager.systemctl("daemon-reload").check()
        manager.systemctl("enable", "--now", SOCKET).check()
        yield manager
    lab.workstation.sh("rm -r /root/.config/systemd")


@pytest.fixture
def manager(running_manager: UserManager) -> Iterator[UserManager]:
    """The same, before the first copy has come."""
    yield running_manager
    running_manager.systemctl("stop", SOCKET, SERVICE).check()
    running_manager.systemctl("reset-failed").check()
    running_manager.systemctl("start", SOCKET).check()


def closures(lab: Lab) -> list[str]:
    return make_closure(lab.workstation, Shape(f"service-{next(_numbers)}", 20, 2, 20_000))


def wait_until_it_has_left(manager: UserManager) -> None:
    wait_until(
        lambda: manager.property(SERVICE, "ActiveState") in ("inactive", "failed"),
        "the agent to leave",
    )


def test_the_units_are_right_by_systemds_own_judgement(
    lab: Lab, running_manager: UserManager
) -> None:
    units = [f"/root/.config/systemd/user/{unit}" for unit in (SOCKET, SERVICE)]
    command = ["env", f"XDG_RUNTIME_DIR={RUNTIME}", "systemd-analyze", "verify", "--user"]
    assert lab.workstation.run([*command, *units]).check().text == ""


def test_the_first_copy_starts_it_and_all_share_one_login(
    lab: Lab, herd: Herd, manager: UserManager
) -> None:
    paths = closures(lab)
    before = lab.ssh_server.logins()
    assert manager.property(SERVICE, "ActiveState") == "inactive"
    # Bazel's rules may lack XDG_RUNTIME_DIR, and these copiers do.
    data = herd.copy_all(paths[-_COPIERS:])
    assert lab.ssh_server.logins() == before + 1
    assert sorted(path for each in data for path in each["sent"]) == sorted(paths)
    assert_kept_whole(lab.server, lab.workstation, paths)
    told = herd.told()
    assert told is not None
    assert manager.property(SERVICE, "MainPID") == str(told["pid"])
    assert told["servers"][0]["answered"] == _COPIERS


def test_it_leaves_when_idle_and_the_next_copy_starts_it_again(
    lab: Lab, herd: Herd, manager: UserManager
) -> None:
    manager.systemctl("set-environment", "NIX_REMOTE_AGENT_IDLE=1").check()
    herd.copy(closures(lab)[-1]).check()
    wait_until_it_has_left(manager)
    assert manager.property(SERVICE, "Result") == "success"
    assert manager.property(SOCKET, "SubState") == "listening"
    manager.systemctl("unset-environment", "NIX_REMOTE_AGENT_IDLE").check()
    herd.copy(closures(lab)[-1]).check()
    assert manager.property(SERVICE, "ActiveState") == "active"
    # The agent stops; the socket unit stays.
    assert "stopped" in herd.agent("stop").check().stderr
    wait_until_it_has_left(manager)
    assert manager.property(SOCKET, "SubState") == "listening"


@pytest.mark.thorough
def test_stopping_the_service_lets_a_copy_finish(
    lab: Lab, herd: Herd, manager: UserManager
) -> None:
    closure = new_closure(lab.workstation, megabytes=150)
    before = lab.ssh_server.logins()
    running = herd.start("--transport=openssh", closure[-1])
    wait_until(lambda: in_the_middle(lab, closure), "the copy to be in the middle", interval=0.01)
    told = herd.told()
    assert told is not None
    assert told["servers"][0]["waiting"] == 1
    # Neither the agent nor its `ssh` ends at once.
    manager.systemctl("stop", SERVICE).check()
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, output.decode()
    assert lab.ssh_server.logins() == before + 1
    assert_kept_whole(lab.server, lab.workstation, closure)


def test_a_copier_that_leads_does_not_take_the_managers_socket_away(
    lab: Lab, herd: Herd, manager: UserManager
) -> None:
    manager.systemctl("stop", SOCKET).check()
    closure = new_closure(lab.workstation, megabytes=150)
    leading = herd.start(closure[-1])
    wait_until(lambda: in_the_middle(lab, closure), "the copy to be in the middle", interval=0.01)
    manager.systemctl("start", SOCKET).check()
    herd.copy(closures(lab)[-1]).check()
    output, _ = leading.communicate(timeout=60)
    assert leading.returncode == 0, output.decode()
    told = herd.told()
    assert told is not None
    assert (told["kind"], told["servers"][0]["answered"]) == ("agent", 1)


def test_another_one_started_by_hand_leaves_the_place_to_it(
    herd: Herd, manager: UserManager
) -> None:
    refused = herd.agent("run")
    assert refused.status == 19
    assert "another agent is running" in refused.stderr
    herd.agent("start").check()
    told = herd.told()
    assert told is not None
    assert manager.property(SERVICE, "MainPID") == str(told["pid"])


@pytest.mark.thorough
def test_an_agent_that_is_killed_is_started_again_for_those_who_wait(
    lab: Lab, herd: Herd, manager: UserManager
) -> None:
    closure = new_closure(lab.workstation, megabytes=150)
    running = herd.start(closure[-1])
    wait_until(lambda: in_the_middle(lab, closure), "the copy to be in the middle", interval=0.01)
    killed = manager.property(SERVICE, "MainPID")
    lab.workstation.run(["kill", "-KILL", killed]).check()
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, output.decode()
    assert_kept_whole(lab.server, lab.workstation, closure)
    assert manager.property(SERVICE, "MainPID") not in (killed, "0")


@pytest.mark.thorough
def test_when_the_service_cannot_start_copies_do_without(
    lab: Lab, herd: Herd, manager: UserManager
) -> None:
    override = f"{RUNTIME}/systemd/user/{SERVICE}.d/broken.conf"
    lab.workstation.write(override, "[Service]\nExecStart=\nExecStart=/bin/false\n")
    manager.systemctl("daemon-reload").check()
    try:
        top = closures(lab)[-1]
        herd.copy(top, timeout=30).check()
        assert nix.is_valid(lab.server, top)
        assert manager.property(SERVICE, "Result") != "success"
    finally:
        lab.workstation.sh(f"rm {override}")
        manager.systemctl("daemon-reload").check()


@pytest.mark.thorough
def test_an_agent_whose_socket_is_removed_leaves_and_copies_go_on(
    lab: Lab, herd: Herd, manager: UserManager
) -> None:
    herd.copy(closures(lab)[-1]).check()
    lab.workstation.sh(f"rm {RUNTIME}/nix-remote/agent.socket")
    wait_until_it_has_left(manager)
    herd.copy(closures(lab)[-1]).check()


def test_what_login_shells_have_and_services_lack_keeps_no_copy_away(
    lab: Lab, herd: Herd, manager: UserManager
) -> None:
    top = closures(lab)[-1]
    elsewhere = "/root/other-nix/bin"
    lab.workstation.sh(f"mkdir -p {elsewhere}; ln -sf /usr/bin/nix-store {elsewhere}/nix-store")
    path = lab.workstation.sh("echo -n $PATH")
    shells: list[tuple[dict[str, str], bool]] = [
        ({"NIX_PROFILES": "/nix/var/nix/profiles/default", "NIX_PATH": "nixpkgs=/x"}, True),
        ({"PATH": f"/root/empty:{path}"}, True),
        # What decides which store is read, and how, does.
        ({"NIX_CONF_DIR": "/root/empty"}, False),
        ({"PATH": f"{elsewhere}:{path}"}, False),
    ]
    served = 0
    for number, (shell, expected) in enumerate(shells):
        herd.copy(top, package=f"package-{number}", env=shell).check()
        served += expected
        told = herd.told()
        assert told is not None
        assert sum(each["answered"] for each in told["servers"]) == served, shell


@pytest.mark.parametrize("transport", ["paramiko", "openssh"])
def test_the_keys_of_the_shell_are_used_whatever_the_service_has(
    lab: Lab, herd: Herd, manager: UserManager, transport: str
) -> None:
    host = lab.workstation
    key, agent = "/root/.ssh/id_ed25519", "/root/of-the-shell"
    alias = "by-agent"
    config = host.read("/root/.ssh/config")
    entry = [
        *(f"Host {alias}", f"HostName {lab.server.address}", f"Port {sshd.PORT}"),
        *(f"User {ACCOUNT}", "IdentityFile none", ""),
    ]
    host.write("/root/.ssh/config", "\n".join(entry) + config, mode="600")
    started = host.sh(f"rm -f {agent}; ssh-agent -a {agent}; SSH_AUTH_SOCK={agent} ssh-add {key}")
    try:
        words = [f"--transport={transport}", closures(lab)[-1]]
        herd.copy(*words, alias=alias, env={"SSH_AUTH_SOCK": agent}).check()
        told = herd.told()
        assert told is not None
        assert [each["answered"] for each in told["servers"]] == [1]
    finally:
        process = started.partition("SSH_AGENT_PID=")[2].partition(";")[0]
        host.run(["kill", process])
        host.write("/root/.ssh/config", config, mode="600")
