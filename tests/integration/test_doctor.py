"""`nix-remote doctor` on really broken set-ups: it names the problem and the fix."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Iterator, Mapping, Optional

import pytest

from lab import nix, sshd
from lab.host import Host
from lab.lab import ALIAS, GUEST, Lab, alias
from nix_remote.doctor import advisories
from tests.conftest import AddEntry
from tests.integration.ssh_entries import leading_to, ssh_server

Finding = dict[str, Any]


def examine(
    workstation: Host, *words: str, env: Optional[Mapping[str, str]] = None
) -> list[Finding]:
    """The findings of doctor, except flaws of the lab's own Nix."""
    begun = time.monotonic()
    done = workstation.run(["nix-remote", "doctor", "--json", *words], env=env, timeout=30)
    assert time.monotonic() - begun < 10
    findings: list[Finding] = json.loads(done.stdout)["data"]["findings"]
    assert done.status == (1 if any(each["status"] == "broken" for each in findings) else 0)
    return [each for each in findings if each["subject"] != "advisories"]


def sick(findings: list[Finding]) -> dict[tuple[str, str, str], Finding]:
    """The findings that are not ok, by layer, subject and status."""
    found = {
        (each["layer"], each["subject"], each["status"]): each
        for each in findings
        if each["status"] in ("warning", "broken")
    }
    assert all(each["fix"] for each in found.values())
    return found


@pytest.fixture
def doctor(lab: Lab) -> Any:
    """Runs doctor without the layers of the export; returns the findings that are not ok."""

    def look(name: str, *words: str, env: Optional[Mapping[str, str]] = None) -> Any:
        return sick(examine(lab.workstation, name, "--not-exported", *words, env=env))

    return look


def test_a_healthy_server_has_only_ticks(lab: Lab) -> None:
    findings = examine(lab.workstation, ALIAS, "--not-exported")
    assert {each["status"] for each in findings} == {"ok"}
    subjects = [each["subject"] for each in findings]
    assert subjects == [
        *("config", "key", "agent", "connection", "host key", "login"),
        *("nix", "trust", "durable root", "roots", "room", "agent"),
    ]
    for_people = lab.workstation.run(["nix-remote", "doctor", ALIAS, "--not-exported"]).check()
    assert "✓ ssh    login: as copier, without a question\n" in for_people.stdout
    assert re.search(rf"{ALIAS}: 1[23] ✓", for_people.stderr)


def test_an_account_that_is_not_in_allowed_users_is_named_with_the_fix(
    lab: Lab, doctor: Any
) -> None:
    with nix.configured(lab.server, "allowed-users = root copier"):
        found = doctor(alias(lab.server, GUEST))
    (finding,) = (each for each in found.values() if "account-not-allowed" in each["text"])
    assert finding["status"] == "broken"
    assert "allowed-users" in finding["fix"]


def test_flaws_of_the_servers_nix_are_named(lab: Lab) -> None:
    printed = lab.server.sh("nix-store --version")
    done = lab.workstation.run(["nix-remote", "doctor", "--json", ALIAS, "--not-exported"]).check()
    findings: list[Finding] = json.loads(done.stdout)["data"]["findings"]
    found = [each["text"] for each in findings if each["subject"] == "advisories"]
    assert found == [each.text for each in advisories.judge(printed)]
    assert found


def test_it_leaves_no_root_behind(lab: Lab) -> None:
    examine(lab.workstation, ALIAS, "--not-exported")
    links = lab.server.sh("find / -xdev -type l -lname '*-nix-remote-doctor' -path '*gcroots/doc*'")
    assert links == ""


# SSH


def test_no_entry_and_no_such_host(doctor: Any) -> None:
    found = doctor("no-such-server")
    assert "[host-not-found]" in found["ssh", "connection", "broken"]["text"]
    assert "Host no-such-server" in found["ssh", "connection", "broken"]["fix"]


def test_an_ssh_config_that_cannot_be_parsed(lab: Lab, doctor: Any) -> None:
    lab.workstation.write("/root/broken_config", "Host x\n  Port twenty\n")
    found = doctor("x", env={"NIX_REMOTE_SSH_CONFIG": "/root/broken_config"})
    assert list(found) == [("ssh", "config", "broken")]


def test_a_port_without_a_listener(doctor: Any, entry: AddEntry) -> None:
    found = doctor(entry("sick", "Port 1"))
    assert "[connection-refused]" in found["ssh", "connection", "broken"]["text"]


def test_an_unknown_host_key(doctor: Any, entry: AddEntry) -> None:
    found = doctor(entry("sick", "UserKnownHostsFile /dev/null"))
    assert list(found) == [("ssh", "host key", "broken")]
    assert "[host-key-unknown]" in found["ssh", "host key", "broken"]["text"]


def test_a_changed_host_key(lab: Lab, doctor: Any, entry: AddEntry) -> None:
    other = sshd.new_key(lab.workstation)
    key = " ".join(lab.workstation.read(f"{other}.pub").split()[:2])
    lab.workstation.write("/root/changed", f"[{lab.server.address}]:{sshd.PORT} {key}\n")
    found = doctor(entry("sick", "UserKnownHostsFile /root/changed"))
    assert "ssh-keygen -f /root/changed -R" in found["ssh", "host key", "broken"]["fix"]


def test_a_key_that_the_server_does_not_know(lab: Lab, doctor: Any, entry: AddEntry) -> None:
    stranger = sshd.new_key(lab.workstation)
    found = doctor(entry("sick", f"IdentityFile {stranger}", "User root"))
    assert "[login-refused]" in found["ssh", "login", "broken"]["text"]


def test_a_key_file_that_is_not_there(doctor: Any, entry: AddEntry) -> None:
    good = "IdentityFile ~/.ssh/id_ed25519"
    found = doctor(entry("sick", "IdentityFile /root/.ssh/absent", good))
    assert list(found) == [("ssh", "key", "warning")]
    assert "--identity /root/.ssh/absent --create-key" in found["ssh", "key", "warning"]["fix"]


def test_a_key_file_that_others_can_read(lab: Lab, doctor: Any, entry: AddEntry) -> None:
    lab.workstation.sh("install -m 644 /root/.ssh/id_ed25519 /root/open_key")
    found = doctor(entry("sick", "IdentityFile /root/open_key"))
    assert found["ssh", "key", "warning"]["fix"] == "chmod 600 /root/open_key"


def test_an_agent_that_is_gone(doctor: Any, entry: AddEntry) -> None:
    found = doctor(entry("sick"), env={"SSH_AUTH_SOCK": "/root/gone"})
    assert list(found) == [("ssh", "agent", "warning")]
    assert "SSH_AUTH_SOCK names /root/gone" in found["ssh", "agent", "warning"]["text"]


# Nix on the server


@pytest.mark.parametrize(
    ("account", "shell", "rc"),
    [("noisy", "/bin/bash", "echo hello from bashrc"), ("nologin", "/usr/sbin/nologin", "")],
)
def test_a_login_shell_that_talks(
    lab: Lab, doctor: Any, entry: AddEntry, account: str, shell: str, rc: str
) -> None:
    sshd.add_account(lab.server, account, shell=shell)
    sshd.authorize(lab.server, account, sshd.public_key(lab.workstation))
    lab.server.write(f"/home/{account}/.bashrc", f"{rc}\n")
    found = doctor(entry("sick", f"User {account}"))
    assert "[unexpected-output]" in found["nix", "nix", "broken"]["text"]
    assert "ssh sick true" in found["nix", "nix", "broken"]["fix"]


def test_a_server_without_nix(lab: Lab, doctor: Any, entry: AddEntry) -> None:
    with ssh_server(lab.server, 2312, "SetEnv PATH=/var/empty") as without:
        found = doctor(entry("sick", *leading_to(without)))
        assert "[nix-not-found]" in found["nix", "nix", "broken"]["text"]


def test_a_daemon_that_does_not_run(lab: Lab, doctor: Any) -> None:
    lab.server.stop_service("nix-daemon")
    lab.server.sh("rm -f /nix/var/nix/daemon-socket/socket")
    try:
        found = doctor(ALIAS)
        assert ("nix", "nix", "broken") in found
        assert "ssh nix-server" in found["nix", "nix", "broken"]["fix"]
    finally:
        nix.start_daemon(lab.server)


def test_an_account_that_is_not_trusted(lab: Lab, doctor: Any) -> None:
    found = doctor(alias(lab.server, GUEST))
    assert "[signature-required]" in found["nix", "trust", "broken"]["text"]
    assert "extra-trusted-public-keys" in found["nix", "trust", "broken"]["fix"]


def test_a_signing_key_that_the_server_does_not_trust(lab: Lab, doctor: Any) -> None:
    stranger = nix.new_signing_keys(lab.workstation, "stranger-1")
    found = doctor(alias(lab.server, GUEST), "--sign-key", stranger.secret)
    assert "stranger-1" in found["nix", "trust", "broken"]["text"]


def test_a_signing_key_file_that_is_none(lab: Lab) -> None:
    words = ["nix-remote", "doctor", ALIAS, "--sign-key", "/etc/hosts"]
    done = lab.workstation.run(words)
    assert done.status == 2
    assert "error[signing-key-unusable]" in done.stderr


def test_a_folder_for_roots_that_cannot_be_written(lab: Lab, doctor: Any, entry: AddEntry) -> None:
    sshd.add_account(lab.server, "rootless")
    sshd.authorize(lab.server, "rootless", sshd.public_key(lab.workstation))
    lab.server.sh("mkdir -p /home/rootless/.local; chown root:root /home/rootless/.local")
    with nix.configured(lab.server, "extra-trusted-users = rootless"):
        found = doctor(entry("sick", "User rootless"))
    assert "[root-refused]" in found["nix", "durable root", "broken"]["text"]


@pytest.mark.parametrize(
    ("command", "subject", "code"),
    [
        ("nix-store --serve --write", "durable root", "root-refused"),
        ("nix-daemon --stdio", "roots", "roots-unreadable"),
    ],
)
def test_an_account_that_may_not_run_enough(
    lab: Lab, doctor: Any, entry: AddEntry, command: str, subject: str, code: str
) -> None:
    account = "forced-" + command.split()[0][4:]
    sshd.add_account(lab.server, account)
    options = f'restrict,command="{command}"'
    sshd.authorize(lab.server, account, sshd.public_key(lab.workstation), options=options)
    with nix.configured(lab.server, f"extra-trusted-users = {account}"):
        found = doctor(entry("sick", f"User {account}"))
    (text,) = [each["text"] for key, each in found.items() if key[1] == subject]
    assert f"[{code}]" in text


def test_roots_that_nothing_removes(lab: Lab, doctor: Any, entry: AddEntry) -> None:
    sshd.add_account(lab.server, "hoarder")
    sshd.authorize(lab.server, "hoarder", sshd.public_key(lab.workstation))
    folder = "/home/hoarder/.local/state/nix-remote/gcroots/app-12345678/old"
    lab.server.sh(
        f"mkdir -p {folder}; echo old > /tmp/old; path=$(nix-store --add /tmp/old);"
        f"link={folder}/${{path#/nix/store/}}; nix-store --realise $path --add-root $link;"
        "touch -h -d 2001-01-01 $link; chown -hR hoarder: /home/hoarder"
    )
    with nix.configured(lab.server, "extra-trusted-users = hoarder"):
        found = doctor(entry("sick", "User hoarder"))
    assert list(found) == [("nix", "roots", "warning")]
    assert "prune --older-than 90d" in found["nix", "roots", "warning"]["fix"]
    lab.server.sh(f"rm -r {folder}")


@pytest.fixture(scope="module")
def small(lab: Lab) -> Host:
    """A server whose store holds 32 MB."""
    return lab.start_server("small-doctor", nix.Version.CURRENT, store_size="32m")


def test_a_disk_with_little_room(doctor: Any, small: Host) -> None:
    found = doctor(alias(small))
    assert list(found) == [("disk", "room", "warning")]
    assert "nix-store --gc" in found["disk", "room", "warning"]["fix"]


def test_a_full_disk(doctor: Any, small: Host) -> None:
    small.sh("head -c 100M /dev/zero > /nix/store/.full || true")
    try:
        found = doctor(alias(small))
        assert any("[server-disk-full]" in each["text"] for each in found.values())
    finally:
        small.sh("rm -f /nix/store/.full")


def test_a_database_that_cannot_be_written(doctor: Any, small: Host) -> None:
    nix.collect_garbage(small)  # Makes the database, if nothing has done so before.
    small.stop_service("nix-daemon")
    folder = "/nix/var/nix/db"
    small.sh(f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}")
    nix.start_daemon(small)
    try:
        found = doctor(alias(small))
        assert any("[server-store-read-only]" in each["text"] for each in found.values())
    finally:
        small.stop_service("nix-daemon")
        small.sh(f"umount {folder}")
        nix.start_daemon(small)


def test_a_place_for_the_agent_that_is_not_private(lab: Lab, doctor: Any) -> None:
    lab.workstation.sh("mkdir -p -m 700 /root/runtime; mkdir -p /root/runtime/nix-remote")
    lab.workstation.sh("chmod 777 /root/runtime/nix-remote")
    found = doctor(ALIAS, env={"XDG_RUNTIME_DIR": "/root/runtime"})
    assert list(found) == [("here", "agent", "warning")]
    assert (
        "/root/runtime/nix-remote is not a private folder"
        in found["here", "agent", "warning"]["text"]
    )


# Bazel

RC = f"common --repo_env=BAZEL_NIX_REMOTE={ALIAS}\nbuild:remote --remote_executor=grpc://x:1\n"


@pytest.fixture
def workspace(lab: Lab) -> Iterator[str]:
    """A workspace without faults."""
    folder = "/root/workspaces/doctor"
    # Bazel's own tests, if they have run here, left flags for every workspace.
    lab.workstation.sh("[ ! -e /root/.bazelrc ] || mv /root/.bazelrc /root/bazelrc.away")
    lab.workstation.write(f"{folder}/MODULE.bazel", 'bazel_dep(name = "nix_remote")\n')
    lab.workstation.write(f"{folder}/.bazelrc", "try-import %workspace%/user.bazelrc\n")
    lab.workstation.write(f"{folder}/user.bazelrc", RC)
    yield folder
    lab.workstation.sh(f"rm -r {folder}")
    lab.workstation.sh("[ ! -e /root/bazelrc.away ] || mv /root/bazelrc.away /root/.bazelrc")


def test_a_healthy_workspace(doctor: Any, workspace: str) -> None:
    assert doctor(ALIAS, "--workspace", workspace) == {}


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("user.bazelrc", "", ("bazel", "variable", "broken")),
        (
            "user.bazelrc",
            f"build --action_env=BAZEL_NIX_REMOTE={ALIAS}\n",
            ("bazel", "variable", "broken"),
        ),
        ("user.bazelrc", RC.replace(ALIAS, "other"), ("bazel", "variable", "warning")),
        ("user.bazelrc", RC.splitlines()[0], ("bazel", "executor", "warning")),
        (
            "MODULE.bazel",
            'nix_pkg = use_extension("@rules_nixpkgs_core//extensions:package.bzl", "nix_pkg")\n',
            ("bazel", "packages", "warning"),
        ),
        (
            "WORKSPACE",
            '# a comment\nload(\n    "@rules_nixpkgs_core//:nixpkgs.bzl",\n'
            '    "nixpkgs_local_repository",\n    "nixpkgs_package",\n)\n',
            ("bazel", "packages", "warning"),
        ),
    ],
)
def test_a_workspace_whose_packages_are_not_copied(
    lab: Lab, doctor: Any, workspace: str, file: str, text: str, expected: tuple[str, str, str]
) -> None:
    lab.workstation.write(f"{workspace}/{file}", text)
    found = doctor(ALIAS, "--workspace", workspace)
    assert expected in found
    if expected[1] == "packages":
        assert file in found[expected]["text"]


def test_a_variable_of_one_shell_only(lab: Lab, doctor: Any, workspace: str) -> None:
    lab.workstation.write(f"{workspace}/user.bazelrc", RC.splitlines()[1])
    found = doctor(ALIAS, "--workspace", workspace, env={"BAZEL_NIX_REMOTE": ALIAS})
    assert list(found) == [("bazel", "variable", "warning")]
