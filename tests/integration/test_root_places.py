"""Where durable roots are created, and that the server's collector counts them there."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Iterator

import pytest

from lab import nix, sshd
from lab.host import Host
from lab.lab import ACCOUNT, Lab
from lab.nix import Version
from tests.conftest import AddEntry
from tests.integration.copier import Copier, new_closure
from tests.integration.server_versions import server_versions
from tests.integration.ssh_entries import leading_to

pytestmark = pytest.mark.timeout(180)

FOLDER = ".local/state/nix-remote/gcroots"
GCROOTS = "/nix/var/nix/gcroots"

# Daemons that cannot read the home folders of accounts, as with ProtectHome= and with root_squash.
_UNSHARED = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
PROTECT_HOME = [*_UNSHARED, "for d in home root; do mount -t tmpfs $d /$d; done; exec nix-daemon"]
ROOT_SQUASH = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "nix-daemon"]
BLIND = [
    pytest.param(PROTECT_HOME, id="protect-home"),
    pytest.param(ROOT_SQUASH, id="root-squash"),
]

over_both_protocols = pytest.mark.parametrize("protocol", ["worker", "serve"])


@pytest.fixture(scope="module", params=server_versions(Version.CURRENT))
def version(request: pytest.FixtureRequest) -> Version:
    chosen: Version = request.param
    return chosen


@pytest.fixture(scope="module")
def server(lab: Lab, version: Version) -> Host:
    host = lab.server_with(version)
    # As many distributions make them.
    host.sh(f"chmod 700 /home/{ACCOUNT}")
    return host


@contextmanager
def daemon(server: Host, *command: str) -> Iterator[None]:
    """The server's Nix daemon, started in another way, in a `with` block."""
    socket = "/nix/var/nix/daemon-socket/socket"
    server.stop_service("nix-daemon")
    server.run(["rm", "-f", socket]).check()
    nix.start_daemon(server, command)
    try:
        yield
    finally:
        server.stop_service("nix-daemon")
        server.run(["rm", "-f", socket]).check()
        nix.start_daemon(server)


def collect_by_daemon(server: Host) -> None:
    """A garbage collection in the daemon, with its view of the file system."""
    server.run(["nix-store", "--gc"], env={"NIX_REMOTE": "daemon"}, timeout=120).check()


def folder_of(copied: dict[str, object]) -> str:
    """The folder for roots in which the copy says that its root is."""
    roots = copied["roots"]
    assert isinstance(roots, dict)
    (location,) = roots.values()
    return str(location).rsplit("/", 3)[0]


def env(protocol: str) -> dict[str, str]:
    return {"NIX_REMOTE_PROTOCOL": protocol}


@over_both_protocols
@pytest.mark.parametrize("blind", BLIND)
def test_a_root_that_the_daemon_cannot_read_is_no_root(
    copier: Copier,
    entry: AddEntry,
    server: Host,
    version: Version,
    blind: list[str],
    protocol: str,
) -> None:
    top = new_closure(copier.host)[-1]
    alias = entry("blind", f"HostName {server.address}")
    with daemon(server, *blind):
        if version is Version.V2_8:
            # Where Nix makes a folder for each account that connects.
            copied = copier.copy(top, alias=alias, env=env(protocol))
            assert folder_of(copied) == f"{GCROOTS}/per-user/{ACCOUNT}/nix-remote"
            collect_by_daemon(server)
            assert nix.is_valid(server, top)
            return
        told = copier.fails("root-not-counted", top, alias=alias, env=env(protocol))
        fix = f"install -d -m 755 -o {ACCOUNT} {GCROOTS}/nix-remote/{ACCOUNT}"
        assert fix in told
        doctor = copier.host.run(["nix-remote", "doctor", alias, "--not-exported"], timeout=60)
        assert doctor.status == 1
        assert "[root-not-counted]" in doctor.text
        assert counted(copier.host, alias, top) == [False]
        # As it says.
        server.sh(fix)
        try:
            copied = copier.copy(top, alias=alias, env=env(protocol))
            assert folder_of(copied) == f"{GCROOTS}/nix-remote/{ACCOUNT}"
            assert counted(copier.host, alias, top) == [False, True]
            collect_by_daemon(server)
            assert nix.is_valid(server, top)
        finally:
            server.sh(f"rm -r {GCROOTS}/nix-remote")


@over_both_protocols
def test_root_is_kept_from_the_daemon_too(
    copier: Copier, entry: AddEntry, server: Host, protocol: str
) -> None:
    top = new_closure(copier.host)[-1]
    alias = entry("blind-root", f"HostName {server.address}", "User root")
    with daemon(server, *PROTECT_HOME):
        copied = copier.copy(top, alias=alias, env=env(protocol))
        assert folder_of(copied) == f"{GCROOTS}/nix-remote/root"
        collect_by_daemon(server)
        assert nix.is_valid(server, top)


@over_both_protocols
def test_the_account_of_setup_server_has_a_folder_that_every_daemon_can_read(
    lab: Lab, copier: Copier, entry: AddEntry, server: Host, protocol: str
) -> None:
    sshd.public_key(lab.workstation)
    make = "nix-remote setup server --account seen --public-key ~/.ssh/id_ed25519.pub"
    server.run(["sh"], stdin=lab.workstation.sh(make)).check()
    keys = nix.new_signing_keys(lab.workstation, "seen-1")
    alias = entry("seen", f"HostName {server.address}", "User seen")
    top = new_closure(copier.host)[-1]
    hidden = [*_UNSHARED, "mount -t tmpfs tmpfs /var/lib; exec nix-daemon"]
    trust = nix.configured(server, f"extra-trusted-public-keys = {keys.public}")
    with trust, daemon(server, *hidden):
        copied = copier.copy("--sign-key", keys.secret, top, alias=alias, env=env(protocol))
        assert folder_of(copied) == f"{GCROOTS}/nix-remote/seen"
        collect_by_daemon(server)
        assert nix.is_valid(server, top)


# Home folders.


@pytest.fixture
def logins(lab: Lab, entry: AddEntry, server: Host) -> Iterator[Logins]:
    made = Logins(lab, entry, server)
    yield made
    made.stop()


class Logins:
    """Entries for accounts whose keys are not in their home folders, on one more SSH server."""

    def __init__(self, lab: Lab, entry: AddEntry, server: Host) -> None:
        self._entry = entry
        self._server = server
        self._key = sshd.public_key(lab.workstation)
        self._sshd = sshd.SshServer(server, 2307)
        self._running = False

    def start(self, *options: str) -> None:
        self._sshd.start("\n".join(("AuthorizedKeysFile /etc/ssh/keys_%u", *options)))
        self._running = True

    def alias(self, account: str, *, home: str = "", options: str = "") -> str:
        """An entry for an account, which is made; `home` is where passwd says that its home is."""
        sshd.add_account(self._server, account)
        if home:
            # Not usermod: it refuses to while the account, such as root, has a process.
            to_home = rf"s|^({account}:[^:]*:[^:]*:[^:]*:[^:]*):[^:]*:|\1:{home}:|"
            self._server.run(["sed", "-i", "-E", to_home, "/etc/passwd"]).check()
        self._server.write(f"/etc/ssh/keys_{account}", f"{options} {self._key}\n".lstrip())
        trust = f"extra-trusted-users = {account}\n"
        configuration = self._server.read("/etc/nix/nix.conf")
        if trust not in configuration:
            self._server.write("/etc/nix/nix.conf", configuration + trust)
            nix.restart_daemon(self._server)
        return self._entry(
            f"home-{account}",
            f"HostName {self._server.address}",
            f"User {account}",
            *leading_to(self._sshd),
        )

    def stop(self) -> None:
        if self._running:
            self._sshd.stop()


def counted(workstation: Host, alias: str, path: str) -> list[bool]:
    """Of the roots of a path, by `roots list`, whether each is counted by the collector."""
    command = ["nix-remote", "roots", f"--host={alias}", "--json", "list"]
    data = json.loads(workstation.run(command, timeout=60).check().stdout)["data"]
    return [root["counted"] for root in data["roots"] if root["path"] == path]


@pytest.mark.parametrize("protocol", ["worker", pytest.param("serve", marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    ("shell_start", "options"),
    [
        ("cd /tmp", ""),
        ("cd /", ""),
        ("mkdir -p /tmp/$USER; cd /tmp/$USER", ""),
        ("export HOME=/tmp; cd /tmp", ""),
        ("", "SetEnv HOME=/var/tmp"),
    ],
)
def test_roots_are_below_the_home_folder_whatever_the_login_does(
    copier: Copier,
    server: Host,
    logins: Logins,
    shell_start: str,
    options: str,
    protocol: str,
) -> None:
    logins.start(options)
    alias = logins.alias("wanderer")
    server.write("/home/wanderer/.bashrc", f"{shell_start}\n")
    top = new_closure(copier.host)[-1]
    copied = copier.copy(top, alias=alias, env=env(protocol))
    assert folder_of(copied) == f"/home/wanderer/{FOLDER}"
    name = top.rpartition("/")[2]
    everywhere = server.sh(f"find / -xdev -type l -name {name} -path '*/gcroots/*'").split()
    assert [link for link in everywhere if not link.startswith(GCROOTS)] == list(
        copied["roots"].values()
    )
    assert counted(copier.host, alias, top) == [True]
    collect_by_daemon(server)
    assert nix.is_valid(server, top)


def test_an_account_that_can_only_start_a_session_elsewhere_is_refused(
    copier: Copier, server: Host, version: Version, logins: Logins
) -> None:
    """Its home folder cannot be asked for, and its session does not run in one."""
    if version is Version.V2_8:
        pytest.skip("no durable roots over that protocol alone")
    logins.start()
    alias = logins.alias("lost-worker", options='restrict,command="nix-daemon --stdio"')
    server.write("/home/lost-worker/.bashrc", "cd /tmp\n")
    top = new_closure(copier.host)[-1]
    told = copier.fails("root-refused", top, alias=alias)
    assert "not in the account's home folder" in told
    server.write("/home/lost-worker/.bashrc", "")
    assert folder_of(copier.copy(top, alias=alias)) == f"/home/lost-worker/{FOLDER}"


@over_both_protocols
def test_without_a_home_folder_an_account_needs_another_one(
    copier: Copier, server: Host, version: Version, logins: Logins, protocol: str
) -> None:
    logins.start()
    alias = logins.alias("homeless", home="/absent/homeless")
    top = new_closure(copier.host)[-1]
    if version is not Version.V2_8:
        told = copier.fails("root-refused", top, alias=alias, env=env(protocol))
        assert f"/absent/homeless/{FOLDER}" in told
        server.sh(f"install -d -o homeless {GCROOTS}/nix-remote/homeless")
    try:
        copied = copier.copy(top, alias=alias, env=env(protocol))
        assert folder_of(copied).startswith(f"{GCROOTS}/")
        assert counted(copier.host, alias, top) == [True]
        collect_by_daemon(server)
        assert nix.is_valid(server, top)
    finally:
        server.sh(f"rm -rf {GCROOTS}/nix-remote")


@over_both_protocols
def test_roots_home_folder_is_made_if_it_is_absent(
    copier: Copier, server: Host, logins: Logins, protocol: str
) -> None:
    logins.start()
    alias = logins.alias("root", home="/absent/root")
    try:
        top = new_closure(copier.host)[-1]
        copied = copier.copy(top, alias=alias, env=env(protocol))
        assert folder_of(copied) == f"/absent/root/{FOLDER}"
        assert counted(copier.host, alias, top) == [True]
        collect_by_daemon(server)
        assert nix.is_valid(server, top)
        assert server.run(["test", "-e", "/.local"]).status == 1
    finally:
        logins.alias("root", home="/root")
        server.sh("rm -rf /absent")


@over_both_protocols
def test_a_home_folder_that_is_a_link_is_the_same_place(
    copier: Copier, server: Host, logins: Logins, protocol: str
) -> None:
    logins.start()
    alias = logins.alias("linked", home="/home/linked")
    server.sh("[ -L /home/linked ] || { mv /home/linked /srv/linked; ln -s /srv/linked /home; }")
    top = new_closure(copier.host)[-1]
    copied = copier.copy(top, alias=alias, env=env(protocol))
    assert folder_of(copied) == f"/srv/linked/{FOLDER}"
    assert counted(copier.host, alias, top) == [True]
    collect_by_daemon(server)
    assert nix.is_valid(server, top)


# Roots that Nix does not know.


def test_a_link_that_nix_does_not_know_is_told_and_mended_by_the_next_copy(
    copier: Copier, entry: AddEntry, server: Host
) -> None:
    alias = entry("forgotten", f"HostName {server.address}")
    top = new_closure(copier.host)[-1]
    copier.copy(top, alias=alias)
    assert counted(copier.host, alias, top) == [True]
    server.sh(f"find {GCROOTS}/auto -lname '*/{top.rpartition('/')[2]}' -delete")
    assert counted(copier.host, alias, top) == [False]
    command = ["nix-remote", "roots", f"--host={alias}", "list"]
    assert "NOT COUNTED" in copier.host.run(command, timeout=60).check().stderr
    doctor = copier.host.run(["nix-remote", "doctor", alias, "--not-exported"], timeout=60)
    assert "does not count" in doctor.text
    copier.copy(top, alias=alias)
    assert counted(copier.host, alias, top) == [True]
    nix.collect_garbage(server)
    assert nix.is_valid(server, top)


def test_roots_that_have_moved_with_a_home_folder_are_made_anew(
    copier: Copier, server: Host, logins: Logins
) -> None:
    logins.start()
    alias = logins.alias("mover", home="/home/mover")
    top = new_closure(copier.host)[-1]
    copier.copy(top, alias=alias)
    server.sh("mv /home/mover /srv/mover")
    logins.alias("mover", home="/srv/mover")
    try:
        assert counted(copier.host, alias, top) == [False]
        assert folder_of(copier.copy(top, alias=alias)) == f"/srv/mover/{FOLDER}"
        assert counted(copier.host, alias, top) == [True]
        nix.collect_garbage(server)
        assert nix.is_valid(server, top)
    finally:
        server.sh("mv /srv/mover /home/mover")
        logins.alias("mover", home="/home/mover")
