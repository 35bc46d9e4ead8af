"""Servers that `ssh` can use work: with only one algorithm, and with unusual greetings.

One sshd for each algorithm: a selection in every run; with --thorough, all of the lab's OpenSSH
(`ssh -Q`).
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import Iterator, Mapping, Sequence

import pytest

from lab import sshd
from lab.host import wait_until
from lab.lab import ACCOUNT, Lab
from tests.conftest import AddEntry
from tests.integration.copier import Copier, new_closure
from tests.integration.ssh_entries import known_as, leading_to, ssh_server

_FIRST_PORT = 2600
_KEYS = "/root/one-algorithm"
_SERVER_KEYS = "/etc/ssh/one-algorithm"
_AT_ONCE = 12

_CONNECT = """
import json, os, sys
from pathlib import Path
from nix_remote.errors import NixRemoteError
from nix_remote.settings import TransportChoice
from nix_remote.ssh import connect
from nix_remote.ssh.config import resolve
from nix_remote.ssh.transport import ChannelTimeout

def connected(alias, choice, file):
    host = resolve.resolve(alias, file, resolve.this_user(os.environ))
    try:
        transport, why = connect.connect(host, choice, file)
    except NixRemoteError as error:
        return error.code
    try:
        channel = transport.open(["echo", "ready"])
        said = b""
        while not said.endswith(b"\\n"):
            try:
                said += channel.read(100)
            except ChannelTimeout:
                continue
        return f"{said.decode().strip()}: {transport.description.split(',')[0]} {why}".strip()
    finally:
        transport.close()

file = Path(sys.argv[1])
choices = (TransportChoice.AUTO, TransportChoice.OPENSSH)
outcome = {alias: [connected(alias, each, file) for each in choices] for alias in sys.argv[2:]}
print(json.dumps(outcome))
"""


@pytest.fixture(scope="module")
def keys(lab: Lab) -> tuple[str, ...]:
    """The names of kinds of keys: host keys of the server, and keys that let the workstation in."""
    make = (
        "mkdir -p -m 700 {0}; cd {0}; for kind in ed25519 rsa ecdsa-256 ecdsa-384 ecdsa-521"
        " mldsa44-ed25519; do"
        " [ -e $kind ] || ssh-keygen -q -t ${{kind%-[235]*}} $(echo $kind |"
        " sed -n 's/^ecdsa-/-b /p') -N '' -f $kind; done; ls"
    )
    lab.server.sh(make.format(_SERVER_KEYS))
    made = lab.workstation.sh(make.format(_KEYS)).split()
    kinds = tuple(name for name in made if f"{name}.pub" in made)
    for kind in kinds:
        sshd.authorize(lab.server, ACCOUNT, lab.workstation.read(f"{_KEYS}/{kind}.pub").strip())
    sign = f"cd {_SERVER_KEYS}; [ -e ca ] || ssh-keygen -q -t ed25519 -N '' -f ca; "
    sign += "for kind in " + " ".join(kinds) + "; do ssh-keygen -q -s ca -I lab -h"
    sign += f" -n {lab.server.address} $kind.pub; done"
    lab.server.sh(sign)
    name = f"[{lab.server.address}]:*"
    known = [f"{name} {lab.ssh_server.host_key}\n"]
    known += [f"{name} {lab.server.read(f'{_SERVER_KEYS}/{kind}.pub')}" for kind in kinds]
    known.append(f"@cert-authority * {lab.server.read(f'{_SERVER_KEYS}/ca.pub')}")
    lab.workstation.write(f"{_KEYS}/known_hosts", "".join(known))
    return kinds


def _queried(lab: Lab, what: str) -> list[str]:
    """The algorithms of a kind in the lab's OpenSSH, except those for hardware."""
    names = lab.workstation.run(["ssh", "-Q", what]).check().stdout.split()
    return [name for name in names if "sk-" not in name and not name.startswith("ext-info")]


def _kind_of_key(algorithm: str) -> str:
    plain = algorithm.split("-cert")[0]
    if "rsa" in plain:
        return "rsa"
    return plain.removeprefix("ssh-").replace("ecdsa-sha2-nistp", "ecdsa-")


def _options(directive: str, name: str) -> tuple[list[str], list[str]]:
    """What is in the server's configuration and in the client's for one algorithm."""
    server = [f"{directive} {name}"]
    client = [f"{directive} +{name}"]
    if directive == "MACs":
        # Others need no MAC.
        server.append("Ciphers aes128-ctr")
    if directive == "HostKeyAlgorithms":
        file = f"{_SERVER_KEYS}/{_kind_of_key(name)}"
        server.append(f"HostKey {file}")
        if "-cert" in name:
            server.append(f"HostCertificate {file}-cert.pub")
    kind = _kind_of_key(name) if directive == "PubkeyAcceptedAlgorithms" else "ed25519"
    client += [f"IdentityFile {_KEYS}/{kind}", "IdentitiesOnly yes"]
    return server, client


def _outcomes(lab: Lab, wanted: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    """How `auto` and `openssh` end at a server with each of these algorithms alone."""
    found: dict[str, list[str]] = {}
    for begin in range(0, len(wanted), _AT_ONCE):
        found.update(_outcomes_at_once(lab, wanted[begin : begin + _AT_ONCE]))
    return found


def _outcomes_at_once(lab: Lab, wanted: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    entries, aliases = [], {}
    with ExitStack() as servers:
        for number, (directive, name) in enumerate(wanted):
            server, client = _options(directive, name)
            port = _FIRST_PORT + number
            servers.enter_context(ssh_server(lab.server, port, *server))
            alias = f"one-{number}"
            aliases[alias] = f"{directive} {name}"
            where = [f"HostName {lab.server.address}", f"Port {port}", f"User {ACCOUNT}"]
            known = [f"UserKnownHostsFile {_KEYS}/known_hosts", "ConnectTimeout 10"]
            entries.append("\n    ".join([f"Host {alias}", *where, *known, *client]))
        lab.workstation.write(f"{_KEYS}/config", "\n".join(entries) + "\n", mode="600")
        run = ["/opt/nix-remote/bin/python", "-c", _CONNECT, f"{_KEYS}/config", *aliases]
        outcome = json.loads(lab.workstation.run(run, timeout=120).check().stdout)
    return {aliases[alias]: ends for alias, ends in outcome.items()}


_SELECTED = (
    ("KexAlgorithms", "sntrup761x25519-sha512@openssh.com"),
    ("KexAlgorithms", "mlkem768x25519-sha256"),
    ("KexAlgorithms", "diffie-hellman-group14-sha1"),
    ("Ciphers", "chacha20-poly1305@openssh.com"),
    ("MACs", "umac-128-etm@openssh.com"),
    ("HostKeyAlgorithms", "ssh-rsa"),
    ("HostKeyAlgorithms", "rsa-sha2-256-cert-v01@openssh.com"),
    ("PubkeyAcceptedAlgorithms", "ssh-rsa"),
)


def test_a_server_with_one_algorithm_works_as_with_ssh(lab: Lab, keys: tuple[str, ...]) -> None:
    outcomes = _outcomes(lab, _SELECTED)
    assert len(outcomes) == len(_SELECTED)
    for what, (auto, openssh) in outcomes.items():
        assert openssh == "ready: openssh requested", what
        assert auto.startswith("ready: "), what
    only_ssh = [what for what, (auto, _) in outcomes.items() if auto.startswith("ready: openssh")]
    assert "Ciphers chacha20-poly1305@openssh.com" in only_ssh
    assert "PubkeyAcceptedAlgorithms ssh-rsa" in only_ssh


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("directive", "what"),
    [
        ("KexAlgorithms", "kex"),
        ("Ciphers", "cipher"),
        ("MACs", "mac"),
        ("HostKeyAlgorithms", "HostKeyAlgorithms"),
        ("PubkeyAcceptedAlgorithms", "PubkeyAcceptedAlgorithms"),
    ],
)
def test_every_algorithm_of_openssh_works_as_with_ssh(
    lab: Lab, keys: tuple[str, ...], directive: str, what: str
) -> None:
    names = _queried(lab, what)
    if directive == "PubkeyAcceptedAlgorithms":
        names = [name for name in names if "-cert" not in name]
    if what in ("HostKeyAlgorithms", "PubkeyAcceptedAlgorithms"):
        names = [name for name in names if _kind_of_key(name) in keys]
    outcomes = _outcomes(lab, [(directive, name) for name in names])
    assert len(outcomes) == len(names) > 3
    for each, (auto, openssh) in outcomes.items():
        print(each, "|", auto)
        assert openssh == "ready: openssh requested", each
        assert auto.startswith("ready: "), each


_OLD_SERVER = (
    "KexAlgorithms diffie-hellman-group14-sha1",
    "Ciphers aes128-cbc,3des-cbc",
    "MACs hmac-sha1",
    "HostKeyAlgorithms ssh-rsa",
    f"HostKey {_SERVER_KEYS}/rsa",
    "PubkeyAcceptedAlgorithms ssh-rsa",
)
_FOR_AN_OLD_SERVER = (
    "KexAlgorithms +diffie-hellman-group14-sha1",
    "Ciphers +aes128-cbc",
    "MACs +hmac-sha1",
    "HostKeyAlgorithms +ssh-rsa",
    "PubkeyAcceptedAlgorithms +ssh-rsa",
    f"IdentityFile {_KEYS}/rsa",
    f"UserKnownHostsFile {_KEYS}/known_hosts",
)


@pytest.fixture(scope="module")
def path(lab: Lab) -> str:
    return new_closure(lab.workstation)[-1]


def test_a_server_of_openssh_7_works_with_what_ssh_needs_in_the_config(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, keys: tuple[str, ...]
) -> None:
    with ssh_server(lab.server, 2590, *_OLD_SERVER) as server:
        alias = entry("old", *_FOR_AN_OLD_SERVER, f"Port {server.port}")
        copier.copy("--no-agent", path, alias=alias)
        plain = entry("plain", f"Port {server.port}", _FOR_AN_OLD_SERVER[-1])
        text = copier.fails("negotiation-failed", "--no-agent", path, alias=plain, within=15)
        assert "no matching" in text
        assert "again" not in text


def test_a_hop_with_such_an_algorithm_works_as_with_ssh(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    with ssh_server(lab.server, 2591, "Ciphers chacha20-poly1305@openssh.com") as server:
        # To a hop no option of ours gets.
        hop = entry("hop", *leading_to(server))
        alias = entry("behind", f"ProxyJump {hop}")
        text = copier.run("-v", "--no-agent", path, alias=alias).check().stderr
        assert "connected to behind: openssh" in text
        assert "no acceptable ciphers" in text
        unable = entry("unable", "Ciphers aes128-ctr", *leading_to(server))
        alias = entry("behind-unable", f"ProxyJump {unable}")
        text = copier.fails("negotiation-failed", "--no-agent", path, alias=alias, within=15)
        assert "an SSH connection with unable" in text


_GREET = r"""
import socket, sys, threading, time
port, lines, pause = int(sys.argv[1]), eval(sys.argv[2]), float(sys.argv[3])
listening = socket.create_server(("", port))

def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for each in (one, other):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

def serve(client):
    try:
        for line in lines:
            client.sendall(line)
            time.sleep(pause)
        upstream = socket.create_connection(("127.0.0.1", 2222))
    except OSError:
        return
    threading.Thread(target=pump, args=(upstream, client), daemon=True).start()
    pump(client, upstream)

while True:
    client, _ = listening.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"""


@contextmanager
def _greeting(lab: Lab, lines: str, pause: float) -> Iterator[int]:
    """A port of the server's where lines, a Python expression, come before SSH's greeting."""
    port = 2592
    command = ["python3", "-c", _GREET, str(port), lines, str(pause)]
    lab.server.start_service("greeting", command)
    probe = f"exec 3<>/dev/tcp/127.0.0.1/{port}"
    wait_until(lambda: lab.server.run(["bash", "-c", probe]).status == 0, "the port")
    try:
        yield port
    finally:
        lab.server.stop_service("greeting")


@pytest.mark.parametrize(
    ("lines", "pause"),
    [
        ("['Grüße von der Firewall\\r\\n'.encode('latin-1')]", 0),
        ("[b'hello\\r\\n' * 1000]", 0),
        ("[b'x' * 8000 + b'\\r\\n']", 0),
        ("[b'\\xff\\xfe\\x80\\r\\n', b'\\x1b[31mred\\r\\n']", 0),
        # What paramiko waits for the next line is 2 s.
        ("[b'a moment\\r\\n']", 2.5),
    ],
    ids=["latin-1", "1000-lines", "long-line", "no-text", "slow"],
)
def test_whatever_comes_before_the_greeting_is_taken_as_by_ssh(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, lines: str, pause: float
) -> None:
    with _greeting(lab, lines, pause) as port:
        known = known_as(lab.server)
        alias = entry("greeting", f"Port {port}", known, "ConnectTimeout 15")
        lab.workstation.run(["ssh", "-o", "BatchMode=yes", alias, "true"]).check()
        copier.copy("--no-agent", path, alias=alias)


@pytest.mark.parametrize(
    "banner", ["'Grüße\\n'.encode('latin-1') * 1000", "b'\\xff\\x00\\x80' * 9"]
)
def test_whatever_the_server_shows_before_the_login_is_no_obstacle(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, banner: str
) -> None:
    write = f"open('/etc/ssh/banner', 'wb').write({banner})"
    lab.server.run(["python3", "-c", write]).check()
    with ssh_server(lab.server, 2593, "Banner /etc/ssh/banner") as server:
        copier.copy("--no-agent", path, alias=entry("banner", *leading_to(server)))


def test_what_is_no_ssh_server_is_said_to_be_none_and_not_tried_again(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    # What comes next is the greeting of a server that speaks version 1 only.
    with _greeting(lab, "[b'220 mail ready\\r\\n', b'SSH-1.5-mail\\r\\n']", 0) as port:
        text = copier.fails(
            "negotiation-failed", "--no-agent", path, alias=entry("mail", f"Port {port}"), within=15
        )
        assert "again" not in text


def test_a_machine_without_ssh_is_told_what_paramiko_lacks(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    programs = "/usr/bin/sh /usr/bin/timeout /usr/local/bin/nix-remote"
    lab.workstation.sh(f"mkdir -p /opt/without; ln -sf {programs} -t /opt/without")
    with ssh_server(lab.server, 2594, "Ciphers chacha20-poly1305@openssh.com") as server:
        alias = entry("without", *leading_to(server))
        env = {"PATH": "/opt/without", "NIX_REMOTE_AGENT": "off"}
        text = copier.fails("negotiation-failed", path, alias=alias, env=env)
        assert "no acceptable ciphers" in text


def test_a_server_that_asks_for_no_key_lets_us_in(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    sshd.add_account(lab.server, "open")
    lab.server.sh("passwd -d open >/dev/null")
    allowed = ("PermitEmptyPasswords yes", "PasswordAuthentication yes")
    with ssh_server(lab.server, 2595, *allowed) as server:
        alias = entry("open", "User open", *leading_to(server))
        lab.workstation.run(["ssh", "-o", "BatchMode=yes", alias, "true"]).check()
        run = ["/opt/nix-remote/bin/python", "-c", _CONNECT, "/root/.ssh/config", alias]
        outcome = json.loads(lab.workstation.run(run).check().stdout)
        assert [end.split(":")[0] for end in outcome[alias]] == ["ready", "ready"]


def test_a_key_file_that_only_ssh_can_read_is_given_to_ssh(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, keys: tuple[str, ...]
) -> None:
    if "mldsa44-ed25519" not in keys:
        pytest.skip("this OpenSSH has no kind of key that paramiko lacks")
    with ssh_server(lab.server, 2596) as server:
        file = f"IdentityFile {_KEYS}/mldsa44-ed25519"
        alias = entry("new-kind", file, "IdentitiesOnly yes", *leading_to(server))
        text = copier.run("-v", "--no-agent", path, alias=alias).check().stderr
        assert "connected to new-kind: openssh" in text
