"""Every login without a question, at a real sshd; failures name the fix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Mapping, Optional

import pytest

from lab import sshd
from lab.host import Host, wait_until
from lab.lab import ACCOUNT, Lab
from tests.conftest import AddEntry
from tests.integration.copier import (
    Copier,
    new_closure,
    over_both_transports,
    over_openssh_if_thorough,
)
from tests.integration.ssh_entries import leading_to, ssh_server

_KEYS = "/root/login"
_AGENT = "/root/login/agent"


@pytest.fixture(scope="module")
def path(lab: Lab) -> str:
    return new_closure(lab.workstation)[-1]


@pytest.fixture(scope="module")
def lines(lab: Lab) -> Iterator[list[str]]:
    """Lines that lead to an SSH server that takes certificates."""
    lab.server.sh("[ -e /etc/ssh/user_ca ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/user_ca")
    with ssh_server(lab.server, 2310, "TrustedUserCAKeys /etc/ssh/user_ca.pub") as server:
        yield leading_to(server)


@pytest.fixture(scope="module")
def agent(lab: Lab) -> Iterator[dict[str, str]]:
    """An agent without keys; what to have in the environment to use it."""
    lab.workstation.sh(f"mkdir -p -m 700 {_KEYS}; rm -f {_AGENT}")
    lab.workstation.start_service("ssh-agent", ["ssh-agent", "-D", "-a", _AGENT])
    wait_until(lambda: lab.workstation.run(["test", "-S", _AGENT]).status == 0, "the agent")
    yield {"SSH_AUTH_SOCK": _AGENT}
    lab.workstation.stop_service("ssh-agent")


@pytest.fixture
def empty_agent(lab: Lab, agent: dict[str, str]) -> dict[str, str]:
    lab.workstation.run(["ssh-add", "-q", "-D"], env=agent).check()
    return agent


@dataclass(frozen=True)
class Login:
    """Copies over entries that lead to the SSH server that takes certificates."""

    lab: Lab
    copier: Copier
    path: str
    entry: AddEntry
    lines: list[str]

    @property
    def workstation(self) -> Host:
        return self.lab.workstation

    def alias(self, name: str, *lines: str) -> str:
        """An entry with these lines."""
        return self.entry(name, *lines, *self.lines)

    def works(self, alias: str, env: Optional[Mapping[str, str]] = None) -> None:
        """Checks that a copy succeeds."""
        self.copier.copy(self.path, alias=alias, env=env)

    def refused(
        self,
        alias: str,
        code: str = "login-refused",
        *,
        env: Optional[Mapping[str, str]] = None,
        within: float = 20,
    ) -> str:
        """Checks that a copy fails, in that time; returns the text."""
        return self.copier.fails(code, self.path, alias=alias, env=env, within=within)


@pytest.fixture
def login(lab: Lab, copier: Copier, path: str, entry: AddEntry, lines: list[str]) -> Login:
    return Login(lab, copier, path, entry, lines)


def make_key(workstation: Host, name: str, *options: str, passphrase: str = "") -> str:
    """Makes a new key; returns its file."""
    file = f"{_KEYS}/{name}"
    workstation.sh(f"mkdir -p -m 700 {_KEYS}; rm -f {file} {file}.pub {file}-cert.pub")
    options = options or ("-t", "ed25519")
    workstation.run(["ssh-keygen", "-q", "-N", passphrase, "-f", file, *options]).check()
    return file


def let_in(lab: Lab, file: str) -> str:
    sshd.authorize(lab.server, ACCOUNT, lab.workstation.read(f"{file}.pub").strip())
    return file


def add_to_agent(lab: Lab, agent: dict[str, str], file: str, passphrase: str = "") -> None:
    answer = f"{_KEYS}/answer"
    lab.workstation.write(answer, f"#!/bin/sh\necho '{passphrase}'\n", mode="700")
    env = {**agent, "SSH_ASKPASS": answer, "SSH_ASKPASS_REQUIRE": "force"}
    lab.workstation.run(["ssh-add", "-q", file], env=env).check()


def certify(lab: Lab, file: str, *options: str, to: str = "") -> str:
    """Has the server's authority certify a key; returns the certificate's file."""
    lab.server.write("/root/certify/key.pub", lab.workstation.read(f"{file}.pub"))
    sign = ["ssh-keygen", "-q", "-s", "/etc/ssh/user_ca", "-I", "id", "-n", ACCOUNT, *options]
    lab.server.run([*sign, "/root/certify/key.pub"]).check()
    certificate = to or f"{file}-cert.pub"
    lab.workstation.write(certificate, lab.server.read("/root/certify/key-cert.pub"))
    return certificate


@over_openssh_if_thorough
@pytest.mark.parametrize(
    "options",
    [
        ("-t", "ed25519"),
        ("-t", "ecdsa", "-b", "256"),
        ("-t", "ecdsa", "-b", "384", "-m", "PEM"),
        ("-t", "ecdsa", "-b", "521", "-m", "PKCS8"),
        ("-t", "rsa", "-b", "3072"),
        ("-t", "rsa", "-b", "2048", "-m", "PEM"),
        ("-t", "rsa", "-b", "2048", "-m", "PKCS8"),
    ],
    ids=lambda options: "-".join(options[1::2]),
)
def test_kinds_and_formats_of_keys(
    login: Login,
    options: tuple[str, ...],
) -> None:
    file = let_in(login.lab, make_key(login.workstation, "kind", *options))
    login.works(login.alias("login", f"IdentityFile {file}"))
    # Nothing depends on the public part being there.
    login.workstation.sh(f"rm {file}.pub")
    login.works("login")


@over_openssh_if_thorough
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_that_only_the_agent_has(
    login: Login,
    empty_agent: dict[str, str],
    kind: str,
) -> None:
    file = let_in(login.lab, make_key(login.workstation, "held", "-t", kind))
    add_to_agent(login.lab, empty_agent, file)
    login.workstation.sh(f"rm {file} {file}.pub")
    alias = login.alias("login", "IdentityFile none")
    login.works(alias, env=empty_agent)
    login.refused(alias)


@over_openssh_if_thorough
def test_a_key_with_a_passphrase_works_through_the_agent(
    login: Login,
    empty_agent: dict[str, str],
) -> None:
    file = let_in(login.lab, make_key(login.workstation, "locked", passphrase="secret"))
    alias = login.alias("login", f"IdentityFile {file}", "IdentitiesOnly yes")
    text = login.refused(alias, env=empty_agent, within=10)
    assert f"{file} (needs a passphrase and is not in the SSH agent)" in text
    assert f"ssh-add {file}" in text
    add_to_agent(login.lab, empty_agent, file, "secret")
    login.works(alias, env=empty_agent)
    # The key's own file tells which of the agent's keys is meant.
    login.workstation.sh(f"rm {file}.pub")
    login.works(alias, env=empty_agent)


@over_openssh_if_thorough
def test_an_old_key_with_a_passphrase_is_not_asked_for(login: Login) -> None:
    make = ("-t", "rsa", "-m", "PEM")
    file = let_in(login.lab, make_key(login.workstation, "old-locked", *make, passphrase="secret"))
    alias = login.alias("login", f"IdentityFile {file}")
    assert f"ssh-add {file}" in login.refused(alias, within=10)


@over_openssh_if_thorough
def test_of_many_keys_in_the_agent_the_one_that_is_named_is_tried_first(
    login: Login,
    empty_agent: dict[str, str],
) -> None:
    for number in range(7):
        add_to_agent(login.lab, empty_agent, make_key(login.workstation, f"many{number}"))
    file = let_in(login.lab, make_key(login.workstation, "right"))
    add_to_agent(login.lab, empty_agent, file)
    login.workstation.sh(f"rm {file}")
    everything = login.alias("login", "IdentityFile none")
    if login.copier.transport == "paramiko":
        text = login.refused(everything, env=empty_agent)
        assert "too many keys" in text
    else:
        # `ssh` asks before it signs, and this sshd counts signatures only.
        login.works(everything, env=empty_agent)
    named = login.alias("login-by-name", f"IdentityFile {file}.pub")
    login.works(named, env=empty_agent)
    only = login.alias("login-only", f"IdentityFile {file}", "IdentitiesOnly yes")
    login.works(only, env=empty_agent)
    other = login.alias("login-other", f"IdentityFile {_KEYS}/many1", "IdentitiesOnly yes")
    text = login.refused(other, env=empty_agent)
    assert "too many keys" not in text


@over_openssh_if_thorough
def test_the_agent_that_the_config_names_is_the_one(
    login: Login,
    empty_agent: dict[str, str],
) -> None:
    file = let_in(login.lab, make_key(login.workstation, "held"))
    add_to_agent(login.lab, empty_agent, file)
    login.workstation.sh(f"rm {file} {file}.pub")
    for value in (_AGENT, "$MY_AGENT", "${MY_AGENT}"):
        alias = login.alias("login", "IdentityFile none", f"IdentityAgent {value}")
        env = {"SSH_AUTH_SOCK": "/nowhere", "MY_AGENT": _AGENT}
        login.works(alias, env=env)
    none = login.alias("login-none", "IdentityFile none", "IdentityAgent none")
    # To `ssh` a variable that is not set is an error, in whichever entry it stands.
    login.refused(none, env={**empty_agent, "MY_AGENT": _AGENT})


@over_both_transports
def test_an_agent_that_is_gone_is_named(login: Login) -> None:
    make_socket = "import socket; socket.socket(socket.AF_UNIX).bind('/root/login/dead')"
    login.workstation.sh(f'rm -f /root/login/dead; python3 -c "{make_socket}"')
    alias = login.alias("login", "IdentityFile none")
    for name in ("/root/login/dead", "/root/login/never-there"):
        env = {"SSH_AUTH_SOCK": name}
        text = login.refused(alias, "agent-unreachable", env=env, within=10)
        assert f"SSH_AUTH_SOCK names {name}; no SSH agent listens there" in text
        assert "bazel shutdown" in text
    # It does not matter where another key lets us in.
    good = login.alias("login-good")
    login.works(good, env={"SSH_AUTH_SOCK": "/root/login/dead"})


@over_both_transports
def test_an_agent_that_never_answers_is_not_waited_for(login: Login) -> None:
    listen = (
        "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('/root/login/mute'); "
        "s.listen(); time.sleep(600)"
    )
    login.workstation.sh("rm -f /root/login/mute")
    login.workstation.start_service("mute-agent", ["python3", "-c", listen])
    try:
        wait_until(
            lambda: login.workstation.run(["test", "-S", "/root/login/mute"]).status == 0, "it"
        )
        alias = login.alias("login", "IdentityFile none")
        env = {"SSH_AUTH_SOCK": "/root/login/mute"}
        text = login.refused(alias, "agent-unreachable", env=env, within=10)
        assert "it does not answer" in text
    finally:
        login.workstation.stop_service("mute-agent")


@over_openssh_if_thorough
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_certificates_beside_the_key(login: Login, kind: str) -> None:
    file = make_key(login.workstation, "certified", "-t", kind)
    alias = login.alias("login", f"IdentityFile {file}")
    login.refused(alias)
    certify(login.lab, file)
    login.works(alias)


@over_openssh_if_thorough
def test_a_certificate_that_the_config_names(login: Login) -> None:
    file = make_key(login.workstation, "certified")
    certificate = certify(login.lab, file, to=f"{_KEYS}/elsewhere.pub")
    named = login.alias("login", f"CertificateFile {certificate}", f"IdentityFile {file}")
    login.works(named)
    # What is named replaces what is beside the key.
    certify(login.lab, file)
    other = certify(
        login.lab, make_key(login.workstation, "other"), to=f"{_KEYS}/of-another-key.pub"
    )
    wrong = login.alias("login-wrong", f"CertificateFile {other}", f"IdentityFile {file}")
    login.refused(wrong)


@over_openssh_if_thorough
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_certificates_whose_key_is_in_the_agent(
    login: Login,
    empty_agent: dict[str, str],
    kind: str,
) -> None:
    file = make_key(login.workstation, "certified", "-t", kind)
    add_to_agent(login.lab, empty_agent, file)
    certificate = certify(login.lab, file, to=f"{_KEYS}/elsewhere.pub")
    login.workstation.sh(f"rm {file}")
    identity = f"IdentityFile {file}"
    named = login.alias("login", f"CertificateFile {certificate}", identity)
    login.works(named, env=empty_agent)
    without = login.alias("login-without", identity)
    login.refused(without, env=empty_agent)


@over_openssh_if_thorough
def test_certificates_in_the_agent(
    login: Login,
    empty_agent: dict[str, str],
) -> None:
    file = make_key(login.workstation, "certified")
    certify(login.lab, file)
    add_to_agent(login.lab, empty_agent, file)
    login.workstation.sh(f"rm {file} {file}.pub {file}-cert.pub")
    login.works(login.alias("login", "IdentityFile none"), env=empty_agent)


@over_both_transports
def test_a_certificate_that_has_expired_is_refused_by_the_server(login: Login) -> None:
    file = make_key(login.workstation, "certified")
    certify(login.lab, file, "-V", "20200101:20200102")
    text = login.refused(login.alias("login", f"IdentityFile {file}"))
    name = {"paramiko": f"{file}-cert.pub", "openssh": f"{file} with its certificate"}
    assert name[str(login.copier.transport)] in text


@over_both_transports
def test_algorithms_for_keys_are_those_that_the_config_allows(login: Login) -> None:
    file = let_in(login.lab, make_key(login.workstation, "rsa", "-t", "rsa"))
    with ssh_server(login.lab.server, 2311, "PubkeyAcceptedAlgorithms rsa-sha2-256") as choosy:
        for algorithm, works in (("rsa-sha2-256", True), ("rsa-sha2-512", False)):
            allowed = f"PubkeyAcceptedAlgorithms {algorithm}"
            at_choosy = [f"IdentityFile {file}", *leading_to(choosy)]
            alias = login.entry(f"login-{algorithm}", allowed, *at_choosy)
            if works:
                login.works(alias)
            else:
                login.refused(alias)
    allowed = "PubkeyAcceptedAlgorithms ssh-ed25519"
    alias = login.alias("b", allowed, f"IdentityFile {file}")
    text = login.refused(alias)
    assert f"{file} (not used: PubkeyAcceptedAlgorithms forbids it)" in text


@over_both_transports
def test_a_public_key_is_enough_only_where_the_agent_has_the_private_one(
    login: Login,
    empty_agent: dict[str, str],
) -> None:
    file = let_in(login.lab, make_key(login.workstation, "half"))
    alias = login.alias("login", f"IdentityFile {file}.pub", "IdentitiesOnly yes")
    text = login.refused(alias, env=empty_agent)
    assert f"{file}.pub (a public key whose private key is not in the SSH agent" in text
    assert "chmod" not in text
    doctor = ["nix-remote", "doctor", alias]
    told = login.workstation.run(doctor, env=empty_agent, timeout=60).text
    assert f"{file}.pub is a public key" in told
    assert f"ssh-add {file}" in told
    add_to_agent(login.lab, empty_agent, file)
    login.works(alias, env=empty_agent)
    told = login.workstation.run(doctor, env=empty_agent, timeout=60).text
    assert "is a public key" not in told


@over_openssh_if_thorough
def test_a_key_that_others_can_read_is_not_used(login: Login) -> None:
    file = let_in(login.lab, make_key(login.workstation, "open"))
    login.workstation.sh(f"chmod 644 {file}")
    alias = login.alias("login", f"IdentityFile {file}")
    text = login.refused(alias)
    assert f"other users can read it: chmod 600 {file}" in text
    assert login.workstation.run(["ssh", "-o", "BatchMode=yes", alias, "true"]).status == 255
