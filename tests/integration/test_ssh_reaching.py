"""Every way to reach the server's SSH port, with real hops, as the config requests it."""

from __future__ import annotations

import re
from typing import Iterator

import pytest

from lab import sshd
from lab.host import wait_until
from lab.lab import ACCOUNT, Lab
from tests.conftest import AddEntry
from tests.integration.copier import (
    Copier,
    new_closure,
    over_both_transports,
    over_openssh_if_thorough,
)
from tests.integration.ssh_entries import known_as, leading_to, ssh_server

_HOP_PORTS = (2401, 2402)


@pytest.fixture(scope="module")
def path(lab: Lab) -> str:
    return new_closure(lab.workstation)[-1]


@pytest.fixture(scope="module")
def hops(lab: Lab) -> Iterator[list[sshd.SshServer]]:
    """Two SSH servers on the executor, known to the workstation, which may log in as `hopper`."""
    host = lab.executor
    sshd.add_account(host, "hopper")
    sshd.authorize(host, "hopper", sshd.public_key(lab.workstation))
    servers = [sshd.SshServer(host, port) for port in _HOP_PORTS]
    for number, server in enumerate(servers, 1):
        server.start("PerSourcePenalties no")
        sshd.introduce(lab.workstation, server, {f"hop{number}": "hopper"})
    yield servers
    for server in servers:
        server.stop()


def came_from(lab: Lab, service: str = "sshd-2222") -> str:
    """The address that the last login on the Nix server came from."""
    found = re.findall(r"Accepted publickey for \S+ from (\S+)", lab.server.log(service))
    return str(found[-1])


@over_openssh_if_thorough
def test_through_a_hop(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    before = hops[0].logins()
    copier.copy(path, alias=entry("far", "ProxyJump hop1"))
    assert came_from(lab) == lab.executor.address
    assert hops[0].logins() == before + 1


@over_openssh_if_thorough
def test_through_two_hops(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    before = [hop.logins() for hop in hops]
    copier.copy(path, alias=entry("far", "ProxyJump hop1,hop2"))
    assert [hop.logins() for hop in hops] == [count + 1 for count in before]
    last = re.findall(r"Accepted publickey for \S+ from (\S+)", hops[1].host.log("sshd-2402"))[-1]
    assert last == lab.executor.address


@over_openssh_if_thorough
def test_a_hop_may_need_a_hop(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    before = [hop.logins() for hop in hops]
    known = known_as(lab.executor, 2402)
    middle = entry("middle", f"HostName {lab.executor.address}", "Port 2402", "User hopper", known)
    lab.workstation.sh(f"sed -i 's/^Host {middle}$/&\\nProxyJump hop1/' /root/.ssh/config")
    try:
        copier.copy(path, alias=entry("far", f"ProxyJump {middle}"))
    finally:
        lab.workstation.sh("sed -i '/^ProxyJump hop1$/d' /root/.ssh/config")
    assert [hop.logins() for hop in hops] == [count + 1 for count in before]


@over_openssh_if_thorough
def test_a_hop_by_address_with_user_and_port(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    jump = f"ProxyJump hopper@{lab.executor.address}:2401"
    copier.copy(path, alias=entry("far", jump))
    assert came_from(lab) == lab.executor.address


@over_both_transports
def test_the_host_key_of_every_hop_is_checked(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    near = entry(
        "near-unknown",
        f"HostName {lab.executor.address}",
        "Port 2401",
        "User hopper",
        "UserKnownHostsFile /dev/null",
    )
    text = copier.fails("host-key-unknown", path, alias=entry("far", f"ProxyJump hop2,{near}"))
    assert f"the host key of {near} is not known" in text
    first = copier.fails("host-key-unknown", path, alias=entry("far2", f"ProxyJump {near},hop2"))
    assert f"the host key of {near} is not known" in first


@over_both_transports
def test_no_question_is_asked_about_a_hop(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    lab.workstation.write("/root/ask", "#!/bin/sh\ntouch /root/asked; echo yes\n", mode="700")
    lab.workstation.sh("rm -f /root/asked")
    near = entry(
        "near-asked",
        f"HostName {lab.executor.address}",
        "Port 2401",
        "User hopper",
        "UserKnownHostsFile /root/asked-known-hosts",
    )
    env = {"SSH_ASKPASS": "/root/ask", "SSH_ASKPASS_REQUIRE": "prefer", "DISPLAY": ":0"}
    copier.fails("host-key-unknown", path, alias=entry("far", f"ProxyJump {near}"), env=env)
    assert lab.workstation.run(["test", "-e", "/root/asked"]).status == 1


@over_openssh_if_thorough
def test_the_host_key_behind_a_hop_is_checked(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    alias = entry("far", "ProxyJump hop1", "UserKnownHostsFile /dev/null")
    assert f"the host key of {alias} is not" in copier.fails("host-key-unknown", path, alias=alias)


@over_openssh_if_thorough
def test_a_hop_that_does_not_let_us_in_is_named(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    text = copier.fails("login-refused", path, alias=entry("far", "ProxyJump nobody@hop1"))
    assert "hop1 refuses the login as nobody" in text


@over_openssh_if_thorough
def test_a_hop_that_cannot_reach_the_server_says_so(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    alias = entry("far", "ProxyJump hop1", "Port 1")
    text = copier.fails("connection-refused", path, alias=alias)
    assert "hop1 cannot connect to it: Connect" in text


@over_openssh_if_thorough
def test_a_proxy_command_makes_the_connection(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, hops: list[sshd.SshServer]
) -> None:
    # The workstation cannot resolve the name, and does not need to.
    command = f"ProxyCommand ssh -W {lab.server.address}:%p hop1 # by %n"
    alias = entry("far", "HostName only.known.there", known_as(lab.server), command)
    copier.copy(path, alias=alias)
    assert came_from(lab) == lab.executor.address
    wait_until(
        lambda: lab.workstation.run(["pgrep", "-f", "[s]sh -W"]).status != 0, "the proxy to end"
    )


@over_both_transports
def test_a_proxy_command_that_fails_is_quoted(copier: Copier, path: str, entry: AddEntry) -> None:
    alias = entry("far", "ProxyCommand echo there is no %h >&2; exit 3")
    text = copier.fails("proxy-failed", path, alias=alias, within=10)
    assert "there is no 10.77.0.20" in text
    text = copier.fails(
        "proxy-failed", path, alias=entry("far2", "ProxyCommand sh -c 'exit 3'"), within=10
    )
    why = {"paramiko": "exit status 3", "openssh": "it exited without a message"}
    assert why[str(copier.transport)] in text


@over_openssh_if_thorough
def test_a_proxy_command_that_never_answers_is_ended(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    alias = entry("far", "ProxyCommand sh -c 'sleep 4321; true'")
    copier.fails("connection-timed-out", path, alias=alias, within=10)
    assert lab.workstation.run(["pgrep", "-f", "[s]leep 4321"]).status != 0


@over_openssh_if_thorough
def test_the_address_family_is_chosen(copier: Copier, path: str, entry: AddEntry) -> None:
    copier.copy(path, alias=entry("four", "AddressFamily inet"))
    copier.fails("host-not-found", path, alias=entry("six", "AddressFamily inet6"))


@over_openssh_if_thorough
def test_the_own_address_is_chosen(lab: Lab, copier: Copier, path: str, entry: AddEntry) -> None:
    lab.workstation.sh("ip address add 10.77.0.199/24 dev eth0")
    try:
        copier.copy(path, alias=entry("bound", "BindAddress 10.77.0.199"))
        assert came_from(lab) == "10.77.0.199"
    finally:
        lab.workstation.sh("ip address delete 10.77.0.199/24 dev eth0")
    alias = entry("unbound", "BindAddress 10.77.0.198")
    text = copier.fails("host-unreachable", path, alias=alias)
    assert "BindAddress 10.77.0.198" in text


@over_both_transports
def test_no_route_is_told_from_a_refused_connection(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    lab.workstation.sh("ip route add unreachable 10.78.0.0/24; ip route add prohibit 10.79.0.0/24")
    try:
        for address, why in (("10.78.0.1", "No route to host"), ("10.79.0.1", "Permission denied")):
            alias = entry(f"at-{address}", f"HostName {address}")
            text = copier.fails("host-unreachable", path, alias=alias)
            assert why in text
    finally:
        lab.workstation.sh("ip route delete 10.78.0.0/24; ip route delete 10.79.0.0/24")
    copier.fails("connection-refused", path, alias=entry("closed", "Port 1"))


@over_both_transports
def test_odd_host_names_are_taken_as_by_ssh(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    lab.workstation.sh(f"cp /etc/hosts /root/hosts; echo '{lab.server.address} büro' >> /etc/hosts")
    try:
        known = known_as(lab.server)
        copier.copy(path, alias=entry("office", "HostName büro", known))
    finally:
        lab.workstation.sh("cat /root/hosts > /etc/hosts")
    for number, name in enumerate(("x" * 64 + ".example", "x." * 130, "a..b", ".")):
        copier.fails("host-not-found", path, alias=entry(f"odd{number}", f"HostName {name}"))


@over_openssh_if_thorough
@pytest.mark.parametrize(
    ("line", "logged"),
    [
        ("Ciphers aes192-ctr", "client->server cipher: aes192-ctr"),
        ("MACs hmac-sha2-512\n    Ciphers aes128-ctr", "MAC: hmac-sha2-512 compression"),
        ("KexAlgorithms ecdh-sha2-nistp384", "kex: algorithm: ecdh-sha2-nistp384"),
        ("KexAlgorithms curve25519-sha256", "kex: algorithm: curve25519-sha256"),
        ("HostKeyAlgorithms ssh-ed25519", "host key algorithm: ssh-ed25519"),
        ("Compression yes", "compression: zlib@openssh.com"),
        ("Compression no", "compression: none"),
    ],
    ids=lambda text: re.sub(r"\W+", "-", text),
)
def test_what_is_negotiated_is_what_the_config_wants(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, line: str, logged: str
) -> None:
    with ssh_server(lab.server, 2320, "Ciphers +aes192-ctr") as server:
        lab.server.write("/var/log/sshd-2320.log", "")
        copier.copy(path, alias=entry("chosen", line, *leading_to(server)))
        assert logged in lab.server.log("sshd-2320")


@over_openssh_if_thorough
def test_nothing_in_common_is_said_to_be_so(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    with ssh_server(lab.server, 2320, "Ciphers aes256-ctr") as server:
        alias = entry("chosen", "Ciphers aes128-ctr", *leading_to(server))
        text = copier.fails("negotiation-failed", path, alias=alias, within=10)
        assert "again" not in text
        why = {"paramiko": "no acceptable ciphers", "openssh": "no matching cipher found"}
        assert why[str(copier.transport)] in text


_LISTEN = """
import sys
from nix_remote.errors import NixRemoteError
from nix_remote.settings import TransportChoice
from nix_remote.ssh import connect
from nix_remote.ssh.config import resolve
from nix_remote.ssh.transport import ChannelTimeout

host = resolve.resolve(sys.argv[1], None, resolve.this_user({}))
transport, _ = connect.connect(host, TransportChoice(sys.argv[2]))
channel = transport.open(["sh", "-c", "echo ready; sleep 50"])
while True:
    try:
        print(channel.read(100).decode(), flush=True)
    except ChannelTimeout:
        continue
    except NixRemoteError as error:
        print(error.render(), flush=True)
        break
"""


@over_both_transports
def test_a_server_that_stops_answering_is_noticed(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    with ssh_server(lab.server, 2321) as server:
        alias = entry(
            "quiet", "ServerAliveInterval 1", "ServerAliveCountMax 2", *leading_to(server)
        )
        listen = ["/opt/nix-remote/bin/python", "-c", _LISTEN, alias, str(copier.transport)]
        lab.workstation.write("/var/log/listening.log", "")
        lab.workstation.start_service("listening", listen)
        wait_until(lambda: "ready" in lab.workstation.log("listening"), "the command")
        sessions = lab.server.sh("pgrep -f '[s]shd-session.*copier'").split()
        lab.server.run(["kill", "-STOP", *sessions]).check()
        try:
            wait_until(lambda: "error" in lab.workstation.log("listening"), "the news", timeout=15)
        finally:
            lab.server.run(["kill", "-CONT", *sessions]).check()
    text = lab.workstation.log("listening")
    assert "error[connection-broken]" in text
    why = {
        "paramiko": "has not answered for 2 s (ServerAliveInterval)",
        "openssh": f"Timeout, server {lab.server.address} not responding",
    }
    assert why[str(copier.transport)] in text


@over_openssh_if_thorough
def test_a_server_that_drops_connections_is_tried_again(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    with ssh_server(lab.server, 2322, "MaxStartups 1:100:1", "LoginGraceTime 4") as server:
        alias = entry("busy", *leading_to(server))
        address = f"('{lab.server.address}', {server.port})"
        occupy = (
            f"import socket, time; s = socket.create_connection({address}); "
            "print(s.recv(9), flush=True); time.sleep(60)"
        )
        lab.workstation.start_service("occupying", ["python3", "-c", occupy])
        try:
            wait_until(lambda: "SSH-2.0" in lab.workstation.log("occupying"), "the greeting")
            done = copier.run(path, alias=alias).check()
        finally:
            lab.workstation.stop_service("occupying")
        # The copy was not restarted: there was no connection that could break.
        assert "again" not in done.stderr
        dropped = lab.server.log("sshd-2322").count("MaxStartups")
        assert dropped >= 1
        assert server.logins() >= 1


@over_openssh_if_thorough
def test_the_account_is_that_of_the_config(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    copier.copy(path, alias=f"{ACCOUNT}@{entry('somebody', 'User nobody')}")
