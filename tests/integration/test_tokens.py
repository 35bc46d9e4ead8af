"""Security keys, smart cards and Kerberos: `ssh` logs in with them, and is chosen automatically.

The security key is the fake one of OpenSSH's own tests, the card is SoftHSM, the Kerberos
realm has its own KDC; the rest is real. Only `ssh` can use them, so there is no second
transport to test; but a card's key in the SSH agent is a usual key for both transports.
"""

from __future__ import annotations

from typing import Callable, Iterator

import pytest

from lab import images, sshd
from lab.host import Host, wait_until
from lab.lab import ACCOUNT, Lab
from lab.nix import Version
from tests.integration.copier import Copier, new_closure
from tests.integration.ssh_entries import leading_to

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]

_CONFIG = "/root/.ssh/config"
_FIDO, _FIDO_PROVIDER = "/root/fido/key", "/usr/lib/openssh/sk-dummy.so"
_CARD, _CARD_PROVIDER = "/root/card", "/usr/lib/softhsm/libsofthsm2.so"
_CARD_ENV = {"SOFTHSM2_CONF": f"{_CARD}/config"}
_AGENT = {**_CARD_ENV, "SSH_AUTH_SOCK": f"{_CARD}/agent"}
_GSSAPI_PORT = 2330
_GET_TICKET = ["kinit", "-k", "-t", f"/root/{ACCOUNT}.keytab", ACCOUNT]

AddLines = Callable[..., str]


@pytest.fixture(scope="module")
def workstation(lab: Lab) -> Host:
    return lab.start_workstation("tokens", images.TOKEN_WORKSTATION)


@pytest.fixture(scope="module")
def copier(workstation: Host) -> Copier:
    return Copier(workstation)


@pytest.fixture(scope="module")
def path(workstation: Host) -> str:
    return new_closure(workstation)[-1]


@pytest.fixture
def login(lab: Lab, workstation: Host) -> Iterator[AddLines]:
    """Adds an entry for the lab's Nix server; an identity has to be among its lines."""
    before = workstation.read(_CONFIG)

    def add(name: str, *lines: str) -> str:
        where = (f"HostName {lab.server.address}", f"Port {sshd.PORT}", f"User {ACCOUNT}")
        block = "\n".join([f"Host {name}", *lines, *where])
        workstation.write(_CONFIG, f"{block}\n\n{workstation.read(_CONFIG)}", mode="600")
        return name

    yield add
    workstation.write(_CONFIG, before, mode="600")


# FIDO


@pytest.fixture(scope="module", params=["ed25519-sk", "ecdsa-sk"])
def fido(lab: Lab, workstation: Host, request: pytest.FixtureRequest) -> str:
    """The file of a security key that the server lets in."""
    workstation.sh("rm -rf /root/fido; mkdir -m 700 /root/fido")
    make = ["ssh-keygen", "-q", "-t", request.param, "-w", _FIDO_PROVIDER, "-N", "", "-f", _FIDO]
    workstation.run(make).check()
    sshd.authorize(lab.server, ACCOUNT, workstation.read(f"{_FIDO}.pub").strip())
    return _FIDO


def test_a_security_key_logs_in(copier: Copier, path: str, login: AddLines, fido: str) -> None:
    provider = f"SecurityKeyProvider {_FIDO_PROVIDER}"
    alias = login("fido", f"IdentityFile {fido}", "IdentitiesOnly yes", provider)
    text = copier.run("-v", path, alias=alias).check().stderr
    assert "connected to fido: openssh, " in text
    assert f"{fido} is a FIDO key" in text
    refusal = copier.fails("ssh-config-unsupported", "--transport=paramiko", path, alias=alias)
    assert "FIDO" in refusal


def test_a_security_key_that_is_not_plugged_in_is_told_so(
    copier: Copier, path: str, login: AddLines, fido: str
) -> None:
    alias = login("unplugged", f"IdentityFile {fido}", "IdentitiesOnly yes")
    text = copier.fails("login-refused", path, alias=alias)
    assert f"tried {fido} (device not found)" in text


def test_a_security_key_that_only_the_agent_has(
    copier: Copier, path: str, login: AddLines, fido: str
) -> None:
    alias = login("fido-in-agent", "IdentityFile none")
    agent = "/root/fido/agent"
    copier.host.start_service("fido-agent", ["ssh-agent", "-D", "-a", agent])
    try:
        wait_until(lambda: copier.host.run(["test", "-S", agent]).status == 0, "the agent")
        env = {"SSH_AUTH_SOCK": agent}
        copier.host.run(["ssh-add", "-q", "-S", _FIDO_PROVIDER, fido], env=env).check()
        text = copier.fails("login-refused", "--transport=paramiko", path, alias=alias, env=env)
        assert "not used: a FIDO key requires --transport openssh" in text
        copier.copy("--transport=openssh", path, alias=alias, env=env)
    finally:
        copier.host.stop_service("fido-agent")
        copier.host.sh(f"rm -f {agent}")


# PKCS#11


@pytest.fixture(scope="module")
def card(lab: Lab, workstation: Host) -> Iterator[str]:
    """The PIN of a card with keys that the server lets in; there is an agent for it, too."""
    workstation.write(f"{_CARD}/config", f"directories.tokendir = {_CARD}/tokens\n")
    script = f"""
        export SOFTHSM2_CONF={_CARD}/config
        cd {_CARD}
        rm -rf tokens key* agent
        mkdir tokens
        softhsm2-util --init-token --free --label card --so-pin 12345678 --pin 1234
        for kind in rsa ecdsa; do
          ssh-keygen -q -t $kind -m PKCS8 -N '' -f key-$kind
          softhsm2-util --import key-$kind --token card --label $kind --pin 1234 \
            --id $([ $kind = rsa ] && echo 01 || echo 02)
        done
        rm key*
        printf '#!/bin/sh\\necho 1234\\n' > pin
        chmod 700 pin
    """
    workstation.sh(script)
    keys = workstation.run(["ssh-keygen", "-D", _CARD_PROVIDER], env=_CARD_ENV).check().stdout
    for key in keys.splitlines():
        sshd.authorize(lab.server, ACCOUNT, key)
    workstation.start_service(
        "card-agent", ["env", f"SOFTHSM2_CONF={_CARD}/config", "ssh-agent", "-D", "-a", _AGENT_FILE]
    )
    wait_until(lambda: workstation.run(["test", "-S", _AGENT_FILE]).status == 0, "the agent")
    yield f"{_CARD}/pin"
    workstation.stop_service("card-agent")


_AGENT_FILE = _AGENT["SSH_AUTH_SOCK"]


def test_a_card_logs_in_when_the_agent_has_its_pin(
    copier: Copier, path: str, login: AddLines, card: str
) -> None:
    by_directive = login("card", "IdentityFile none", f"PKCS11Provider {_CARD_PROVIDER}")
    # There is no terminal to ask for the PIN.
    text = copier.fails("login-refused", path, alias=by_directive, env=_CARD_ENV)
    assert f"{_CARD_PROVIDER} (needs a PIN and is not in the SSH agent)" in text
    assert f"ssh-add -s {_CARD_PROVIDER}" in text

    asking = {**_AGENT, "SSH_ASKPASS": card, "SSH_ASKPASS_REQUIRE": "force"}
    copier.host.run(["ssh-add", "-s", _CARD_PROVIDER], env=asking).check()
    text = copier.run("-v", path, alias=by_directive, env=_AGENT).check().stderr
    assert f"(needed for PKCS11Provider {_CARD_PROVIDER})" in text
    # A key in the SSH agent is a usual key for both transports.
    alias = login("card-in-agent", "IdentityFile none")
    for transport in ("paramiko", "openssh"):
        copier.copy(f"--transport={transport}", path, alias=alias, env=_AGENT)


def test_a_card_that_cannot_be_read_is_named(copier: Copier, path: str, login: AddLines) -> None:
    alias = login("no-card", "IdentityFile none", "PKCS11Provider /root/no-card.so")
    text = copier.fails("login-refused", path, alias=alias)
    assert "/root/no-card.so is not a PKCS11 library" in text


# Kerberos


@pytest.fixture(scope="module")
def realm(lab: Lab, workstation: Host) -> Iterator[sshd.SshServer]:
    """An SSH server that takes tickets; the workstation is the realm's KDC."""
    # Debian 13's sshd: that of testing comes without Kerberos.
    server = lab.server_with(Version.V2_26)
    config = f"""
[libdefaults]
    default_realm = LAB.TEST
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
[realms]
    LAB.TEST = {{
        kdc = {workstation.address}
    }}
"""
    for host in (workstation, server):
        host.write("/etc/krb5.conf", config)
    workstation.sh(
        f"""
        kdb5_util create -s -r LAB.TEST -P secret
        for name in {ACCOUNT} host/{server.name}; do
          kadmin.local -q "addprinc -randkey $name"
          kadmin.local -q "ktadd -k /root/$(basename $name).keytab $name"
        done
        """
    )
    keys = workstation.sh(f"base64 /root/{server.name}.keytab")
    server.write("/root/keytab", keys)
    server.sh("base64 -d /root/keytab > /etc/krb5.keytab; chmod 600 /etc/krb5.keytab")
    workstation.start_service("kdc", ["krb5kdc", "-n"])
    wait_until(lambda: workstation.run(_GET_TICKET).status == 0, "the KDC")
    with_tickets = sshd.SshServer(server, _GSSAPI_PORT)
    with_tickets.start("GSSAPIAuthentication yes")
    yield with_tickets
    with_tickets.stop()
    workstation.stop_service("kdc")


def by_ticket(realm: sshd.SshServer) -> list[str]:
    """Lines that lead to the SSH server that takes tickets, and name no key."""
    return [f"HostName {realm.host.name}", "IdentityFile none", *leading_to(realm)]


def test_a_kerberos_ticket_logs_in(
    copier: Copier, path: str, login: AddLines, realm: sshd.SshServer
) -> None:
    alias = login("kerberos", "GSSAPIAuthentication yes", *by_ticket(realm))
    copier.host.run(["kdestroy", "-q"])
    text = copier.fails("login-refused", path, alias=alias)
    assert "Kerberos (No Kerberos credentials available" in text

    copier.host.run(_GET_TICKET).check()
    text = copier.run("-v", path, alias=alias).check().stderr
    assert "(needed for GSSAPIAuthentication yes)" in text
    assert f"Accepted gssapi-with-mic for {ACCOUNT}" in realm.host.log(f"sshd-{realm.port}")
    refusal = copier.fails("ssh-config-unsupported", "--transport=paramiko", path, alias=alias)
    assert "GSSAPIAuthentication" in refusal


def test_where_the_system_switches_kerberos_on_it_is_tried_when_no_key_helps(
    copier: Copier, path: str, login: AddLines, realm: sshd.SshServer
) -> None:
    assert "    GSSAPIAuthentication yes" in copier.host.read("/etc/ssh/ssh_config")
    alias = login("kerberos", *by_ticket(realm))
    copier.host.run(_GET_TICKET).check()
    text = copier.run("-v", path, alias=alias).check().stderr
    assert "(no key was accepted, and GSSAPIAuthentication is on)" in text
    copier.fails("login-refused", "--transport=paramiko", path, alias=alias)
    # Without a ticket, `ssh` reports both methods as failed.
    copier.host.run(["kdestroy", "-q"])
    text = copier.fails("login-refused", path, alias=alias)
    assert "Kerberos (No Kerberos credentials available" in text
