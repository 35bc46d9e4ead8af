"""The agent without resources that it needs, and differences that its clients may have."""

from __future__ import annotations

import itertools
import json

import pytest

from lab import nix, sshd
from lab.content import Shape, make_closure
from lab.host import wait_until
from lab.lab import ACCOUNT, ALIAS, WORKSPACE, Lab
from nix_remote.agent.freshness import FRESH_SECONDS
from tests.conftest import AddEntry
from tests.integration.copier import root_links
from tests.integration.herd import LAUNCHER, Herd

_numbers = itertools.count(1)


def top(lab: Lab) -> str:
    return make_closure(lab.workstation, Shape(f"limits-{next(_numbers)}", 3))[-1]


def servers(herd: Herd) -> list[dict[str, int]]:
    told = herd.told()
    assert told is not None
    found: list[dict[str, int]] = told["servers"]
    return found


def sessions(lab: Lab) -> int:
    found = lab.server.run(["pgrep", "-c", "-f", f"sshd-[s]ession: {ACCOUNT}@"])
    return int(found.stdout)


@pytest.mark.parametrize(
    "version",
    [nix.Version.CURRENT, pytest.param(nix.Version.V2_8, marks=pytest.mark.thorough)],
)
def test_a_root_that_is_used_from_knowledge_is_not_old(
    lab: Lab, herd: Herd, agent: int, version: nix.Version
) -> None:
    server = lab.server_with(version)
    path = top(lab)
    herd.copy(path, alias=server.name).check()
    (link,) = [link for link, to in root_links(server).items() if to == path]
    server.sh(f"touch -h -d '150 minutes ago' {link}")
    lab.workstation.run(["sleep", str(FRESH_SECONDS + 0.5)])
    copied = servers(herd)[0]["copies"]
    herd.copy(path, alias=server.name).check()
    wait_until(lambda: servers(herd)[0]["renewed"] == 1, "the root to be renewed")
    assert servers(herd)[0]["copies"] == copied
    prune = ["roots", "prune", f"--host={server.name}", "--older-than=2h"]
    lab.workstation.run(["nix-remote", *prune]).check()
    assert path in root_links(server).values()


_PROXY = """\
#!/usr/bin/python3
import os, socket, sys, threading
open("/tmp/profiles", "a").write(os.environ.get("AWS_PROFILE", "none") + "\\n")
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def send():
    while data := os.read(0, 65536):
        there.sendall(data)
threading.Thread(target=send, daemon=True).start()
while data := there.recv(65536):
    os.write(1, data)
"""


@pytest.mark.parametrize("transport", ["paramiko", "openssh"])
@pytest.mark.parametrize("directive", ["ProxyCommand", "Match exec"])
def test_programs_for_a_connection_get_the_environment_of_each_client(
    lab: Lab, herd: Herd, agent: int, entry: AddEntry, transport: str, directive: str
) -> None:
    host = lab.workstation
    host.write("/root/proxy", _PROXY, mode="755")
    host.sh("rm -f /tmp/profiles")
    alias = f"cloud-{next(_numbers)}"
    if directive == "ProxyCommand":
        entry(alias, "ProxyCommand /root/proxy %h %p")
    else:
        host.write("/root/profile", "#!/bin/sh\necho $AWS_PROFILE >>/tmp/profiles\n", mode="755")
        entry(alias, f'Match originalhost {alias} exec "/root/profile"')
    path = top(lab)
    for profile in ("work", "personal"):
        words = [f"--transport={transport}", path]
        herd.copy(*words, alias=alias, env={"AWS_PROFILE": profile}).check()
    recorded = host.read("/tmp/profiles").split()
    assert set(recorded) == {"work", "personal"}
    kept = [each["logins"] for each in servers(herd)]
    # Where `Match exec` is evaluated here, both have been found to mean the same.
    shared = directive == "Match exec" and transport == "paramiko"
    assert kept == ([1] if shared else [1, 1])
    herd.copy(path, alias=alias, env={"AWS_PROFILE": "personal", "SHLVL": "7"}).check()


def test_a_new_ssh_agent_replaces_the_session_of_the_old_one(
    lab: Lab, herd: Herd, agent: int
) -> None:
    path = top(lab)
    for number in range(12):
        herd.copy(path, env={"SSH_AUTH_SOCK": f"/tmp/agent-{number}"}).check()
        assert len(servers(herd)) <= 8
    wait_until(lambda: len(servers(herd)) == 1, "the other sessions to be closed")
    wait_until(lambda: sessions(lab) == 1, "the server's side of them to end")


def test_temporary_files_that_cannot_be_made_fail_no_copy(lab: Lab, herd: Herd) -> None:
    host = lab.workstation
    host.sh("mkdir -p /root/job/tmp")
    herd.agent("stop").check()
    start = ["env", "--chdir=/root/job", "TMPDIR=/root/job/tmp", "nix-remote", "agent", "start"]
    host.run(start).check()

    def failures() -> int:
        """How many copies the agent has left to the copiers because of that."""
        return host.read("/root/.local/state/nix-remote/agent.log").count("\nFileNotFoundError: ")

    try:
        herd.copy("--transport=openssh", top(lab)).check()
        before = failures()
        host.sh("rm -r /root/job")
        lab.server.sh(f"pkill -KILL -f 'sshd-[s]ession: {ACCOUNT}' || true")
        path = top(lab)
        herd.copy("--transport=openssh", path, timeout=30).check()
        assert nix.is_valid(lab.server, path)
        assert failures() == before + 1
        # Over paramiko it needs none.
        herd.copy("--transport=paramiko", top(lab)).check()
        host.sh("mkdir -p /root/job/tmp")
        herd.copy("--transport=openssh", top(lab)).check()
        assert failures() == before + 1
        assert len(servers(herd)) >= 1
    finally:
        herd.agent("stop").check()


def test_a_working_folder_that_is_gone_is_named(lab: Lab, herd: Herd, agent: int) -> None:
    words = " ".join([LAUNCHER, "copy", f"--workspace={WORKSPACE}", f"--host={ALIAS}", top(lab)])
    script = f"mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone; exec {words}"
    done = lab.workstation.run(["sh", "-c", script], timeout=30)
    assert done.status == 2
    assert "error[working-folder-gone]" in done.stderr


def test_an_agent_that_may_start_no_threads_keeps_no_client_waiting(lab: Lab, herd: Herd) -> None:
    """At a real limit of processes, which counts those of an account that is not root."""
    host = lab.workstation
    sshd.add_account(host, "limited")
    host.sh(
        "cp -r /root/.ssh /home/limited/; chown -R limited: /home/limited;"
        "sed -i s,/root/,/home/limited/, /home/limited/.ssh/config"
    )
    env = {"HOME": "/home/limited", "USER": "limited", "LOGNAME": "limited"}
    words = ["nix-remote", "copy", "--workspace=/home/limited/w", f"--host={ALIAS}", top(lab)]
    run = "ulimit -Su 40; exec nix-remote agent run --idle 60s"
    host.start_service(
        "limited-agent",
        ["env", *(f"{k}={v}" for k, v in env.items()), "bash", "-c", run],
        user="limited",
    )
    try:

        def told() -> dict[str, object]:
            status = ["nix-remote", "agent", "--json", "status"]
            done = host.run(status, user="limited", env=env).check()
            found: dict[str, object] = json.loads(done.stdout)["data"]
            return found

        wait_until(lambda: told()["agent"] is not None, "the agent")
        host.run(words, user="limited", env=env).check()
        crowd = "for i in $(seq 60); do sleep 300 & done; echo; wait"
        host.start_service("crowd", ["bash", "-c", crowd], user="limited")
        wait_until(
            lambda: host.run(["pgrep", "-c", "-u", "limited", "sleep"]).stdout.strip() == "60",
            "the crowd",
        )
        many = " ".join(words)
        script = f'for i in $(seq 10); do {many} & p="$p $!"; done; for i in $p; do wait $i; done'
        host.run(["bash", "-e", "-c", script], user="limited", env=env, timeout=60).check()
        host.run(["pkill", "-u", "limited", "sleep"]).check()
        host.run(words, user="limited", env=env, timeout=30).check()
        assert told()["agent"] is not None
    finally:
        host.run(["pkill", "-u", "limited", "sleep"])
        host.run(["nix-remote", "agent", "stop"], user="limited", env=env)
        host.stop_service("limited-agent")
