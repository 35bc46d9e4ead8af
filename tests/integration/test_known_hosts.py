"""The verdict on a server's host key is that of `ssh`: both connect, and are compared."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Mapping

import pytest

from lab import sshd
from lab.host import Host
from lab.lab import ACCOUNT, Lab

_PORT = 2290
_CERTIFIED_PORT = 2291
_PYTHON = "/opt/nix-remote/bin/python"
_SCRIPT = "/src/nix_remote/tests/integration/known_hosts_answers.py"
_KEYS = "/etc/ssh/cases"
_KINDS = ("ed25519", "rsa", "ecdsa")

_RSA_FIRST = "HostKeyAlgorithms rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-512"
_ECDSA_FIRST = "HostKeyAlgorithms ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp256"

ACCEPTED, REFUSED = True, False


@dataclass(frozen=True)
class Case:
    """In texts, `{name}` stands for a key, and `{host}` for `[address]:port`."""

    name: str
    expected: bool
    known_hosts: str
    options: str = ""
    files: str = ""
    """The global known_hosts file."""
    port: int = _PORT


def certified(name: str, expected: bool, known_hosts: str, options: str = "") -> Case:
    return Case(name, expected, known_hosts, options, port=_CERTIFIED_PORT)


CASES = [
    # What is known, and under which name.
    Case("known", ACCEPTED, "{host} {ed25519}"),
    Case("nothing known", REFUSED, ""),
    Case("known among others", ACCEPTED, "a {other}\n# x\n\nb,{host},c {ed25519} comment"),
    Case("another key", REFUSED, "{host} {other}"),
    Case("another key of another kind", REFUSED, "{host} {sk}"),
    Case("another port", REFUSED, "[{address}]:23 {ed25519}"),
    Case("the name without port", ACCEPTED, "{address} {ed25519}"),
    Case("the name without port, another key", REFUSED, "{address} {other}"),
    Case("without port right, with port wrong", REFUSED, "{address} {ed25519}\n{host} {other}"),
    Case("two keys, one right", ACCEPTED, "{host} {other}\n{host} {ed25519}"),
    Case("an rsa key is known", ACCEPTED, "{host} {rsa}"),
    Case("an ecdsa key is known", ACCEPTED, "{host} {ecdsa}"),
    Case("two kinds, the preferred one wrong", REFUSED, "{host} {other}\n{host} {rsa}"),
    Case("hashed", ACCEPTED, "{hashed} {ed25519}"),
    Case("hashed, another key", REFUSED, "{hashed} {other}"),
    Case("a pattern", ACCEPTED, "[10.77.*]:22?? {ed25519}"),
    Case("a pattern that is negated", REFUSED, "[10.77.*]:*,!{host} {ed25519}"),
    Case("a pattern for all hosts", ACCEPTED, "* {ed25519}"),
    Case("tabs", ACCEPTED, "\t{host}\t{ed25519}\tcomment"),
    Case("a line that makes no sense", ACCEPTED, "{host} nonsense\n{host} {ed25519}"),
    Case("a key that is cut off", REFUSED, "{host} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx"),
    Case("a kind that is not the key's", REFUSED, "{host} ssh-rsa {ed25519_body}"),
    Case("an unknown mark", REFUSED, "@trusted {host} {ed25519}"),
    # Other files and names.
    Case("the global file", ACCEPTED, "", files="{host} {ed25519}"),
    Case("right in one file, wrong in the other", ACCEPTED, "{host} {other}", files="* {ed25519}"),
    Case("no user file", REFUSED, "", "UserKnownHostsFile none\nStrictHostKeyChecking no"),
    Case("an alias", ACCEPTED, "the-alias {ed25519}", "HostKeyAlias The-Alias"),
    Case("an alias hides the name", REFUSED, "{host} {ed25519}", "HostKeyAlias the-alias"),
    Case("an alias has no port", REFUSED, "[the-alias]:2290 {ed25519}", "HostKeyAlias the-alias"),
    Case("a host name", ACCEPTED, "[nix-server]:2290 {ed25519}", "HostName Nix-Server"),
    Case("a host name, known by address", REFUSED, "{host} {ed25519}", "HostName nix-server"),
    # Revoked.
    Case("revoked", REFUSED, "@revoked * {ed25519}\n{host} {ed25519}"),
    Case("revoked for others", ACCEPTED, "@revoked other {ed25519}\n{host} {ed25519}"),
    Case("revoked, and not checked", ACCEPTED, "@revoked * {ed25519}", "StrictHostKeyChecking no"),
    Case("another one revoked", ACCEPTED, "@revoked * {other}\n{host} {ed25519}"),
    # Policies.
    Case("yes", REFUSED, "", "StrictHostKeyChecking yes"),
    Case("new, accept-new", ACCEPTED, "", "StrictHostKeyChecking accept-new"),
    Case("changed, accept-new", REFUSED, "{host} {other}", "StrictHostKeyChecking accept-new"),
    Case(
        "revoked, accept-new", REFUSED, "@revoked * {ed25519}", "StrictHostKeyChecking accept-new"
    ),
    Case(
        "new and hashed",
        ACCEPTED,
        "x {other}",
        "StrictHostKeyChecking accept-new\nHashKnownHosts yes",
    ),
    Case("new, no", ACCEPTED, "", "StrictHostKeyChecking no"),
    Case("changed, no", ACCEPTED, "{host} {other}", "StrictHostKeyChecking no"),
    Case("new under an alias", ACCEPTED, "", "StrictHostKeyChecking no\nHostKeyAlias The-Alias"),
    # CheckHostIP.
    Case(
        "the address has another key",
        REFUSED,
        "[nix-server]:2290 {ed25519}\n{host} {other}",
        "HostName nix-server\nCheckHostIP yes",
    ),
    Case(
        "the address has another key, but is not looked at",
        ACCEPTED,
        "[nix-server]:2290 {ed25519}\n{host} {other}",
        "HostName nix-server",
    ),
    Case(
        "the address is recorded, too",
        ACCEPTED,
        "",
        "HostName nix-server\nCheckHostIP yes\nStrictHostKeyChecking accept-new",
    ),
    # Kinds of keys.
    Case("only rsa allowed", ACCEPTED, "{host} {rsa}", "HostKeyAlgorithms rsa-sha2-512"),
    Case(
        "only rsa allowed, ed25519 known",
        REFUSED,
        "{host} {ed25519}",
        "HostKeyAlgorithms rsa-sha2-512",
    ),
    Case("ed25519 not allowed, both known", ACCEPTED, "{host} {rsa}", "HostKeyAlgorithms -*25519*"),
    # Certificates.
    certified("certified", ACCEPTED, "@cert-authority {host} {authority}"),
    certified("certified, by pattern", ACCEPTED, "@cert-authority * {authority}"),
    certified("certified by another", REFUSED, "@cert-authority * {other}"),
    certified("certified, but known as no authority", REFUSED, "{host} {authority}"),
    certified("the certified key itself is known", ACCEPTED, "{host} {ed25519}"),
    certified("an authority is no host key", REFUSED, "@cert-authority {host} {ed25519}"),
    certified(
        "certified for another host",
        REFUSED,
        "@cert-authority * {authority}",
        "HostName nix-server",
    ),
    certified(
        "certified for an alias",
        ACCEPTED,
        "@cert-authority certified-alias {authority}",
        "HostKeyAlias certified-alias",
    ),
    certified(
        "the authority is revoked",
        REFUSED,
        "@cert-authority * {authority}\n@revoked * {authority}",
    ),
    certified(
        "the certified key is revoked",
        REFUSED,
        "@cert-authority * {authority}\n@revoked * {ed25519}",
    ),
    certified(
        "the authority signs by an algorithm that is not allowed",
        REFUSED,
        "@cert-authority * {authority}",
        "CASignatureAlgorithms rsa-sha2-512",
    ),
    certified(
        "certified without port",
        ACCEPTED,
        "@cert-authority {address} {authority}",
    ),
    certified(
        "an rsa certificate that has expired", REFUSED, "@cert-authority * {authority}", _RSA_FIRST
    ),
    certified(
        "an expired certificate for a key that is known",
        ACCEPTED,
        "@cert-authority * {authority}\n{host} {rsa}",
        _RSA_FIRST,
    ),
    certified(
        "an ecdsa certificate for users", REFUSED, "@cert-authority * {authority}", _ECDSA_FIRST
    ),
]


def make_keys(server: Host, address: str) -> Mapping[str, str]:
    """Host keys and certificates on the server; returns the public parts by name."""
    server.sh(
        f"""
        rm -rf {_KEYS}; mkdir -p {_KEYS}; cd {_KEYS}
        for name in ed25519 other authority; do ssh-keygen -q -t ed25519 -N '' -f $name; done
        ssh-keygen -q -t rsa -b 2048 -N '' -f rsa
        ssh-keygen -q -t ecdsa -N '' -f ecdsa
        ssh-keygen -q -s authority -I id -h -n '{address},certified-*' ed25519.pub
        ssh-keygen -q -s authority -I id -h -n '{address}' -V 20200101:20200102 rsa.pub
        ssh-keygen -q -s authority -I id -n '{address}' ecdsa.pub
        """
    )
    names = ("ed25519", "other", "authority", "rsa", "ecdsa")
    keys = {name: " ".join(server.read(f"{_KEYS}/{name}.pub").split()[:2]) for name in names}
    parts = (b"sk-ssh-ed25519@openssh.com", bytes(range(32)), b"ssh:")
    in_hardware = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return {
        **keys,
        "ed25519_body": keys["ed25519"].split()[1],
        "sk": f"{parts[0].decode()} {base64.b64encode(in_hardware).decode()}",
    }


@pytest.fixture(scope="module")
def answers(lab: Lab) -> Mapping[str, Any]:
    """What both did in every case."""
    address = lab.server.address
    keys = make_keys(lab.server, address)
    # Otherwise sshd penalizes the address of clients that leave early.
    plain = "\n".join(["PerSourcePenalties no", *(f"HostKey {_KEYS}/{kind}" for kind in _KINDS)])
    certificates = "\n".join(f"HostCertificate {_KEYS}/{kind}-cert.pub" for kind in _KINDS)
    servers = [sshd.SshServer(lab.server, port) for port in (_PORT, _CERTIFIED_PORT)]
    servers[0].start(plain)
    servers[1].start(f"{plain}\n{certificates}")
    cases = []
    for case in CASES:
        host = f"[{address}]:{case.port}"
        hashed = lab.workstation.sh(
            f"echo '{host} {keys['ed25519']}' > /root/hash-me; "
            "ssh-keygen -q -H -f /root/hash-me 2>/dev/null; cut -d' ' -f1 /root/hash-me"
        ).strip()
        values = {**keys, "host": host, "address": address, "hashed": hashed}
        entry = (
            f"{case.options}\nHostName {address}\nPort {case.port}\nUser {ACCOUNT}\n"
            "IdentityFile /root/.ssh/id_ed25519\n"
            "UserKnownHostsFile /root/known-hosts-cases/known_hosts\n"
            "GlobalKnownHostsFile /root/known-hosts-cases/global\nConnectTimeout 10\n"
        )
        cases.append(
            {
                "name": case.name,
                "config": entry,
                "known_hosts": case.known_hosts.format(**values) + "\n",
                "global": case.files.format(**values) + "\n",
            }
        )
    try:
        done = lab.workstation.run([_PYTHON, _SCRIPT], stdin=json.dumps(cases), timeout=110).check()
    finally:
        for server in servers:
            server.stop()
    return {answer["name"]: answer for answer in json.loads(done.stdout)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_host_key_is_judged_as_ssh_judges_it(answers: Mapping[str, Any], case: Case) -> None:
    by_ssh, by_us = answers[case.name]["ssh"], answers[case.name]["ours"]
    assert by_us["accepted"] == by_ssh["accepted"], (by_us["said"], by_ssh["said"])
    assert by_ssh["accepted"] == case.expected, by_ssh["said"]
    assert by_us["known_hosts"] == by_ssh["known_hosts"]


def test_there_are_enough_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60
