"""Many concurrent copiers: with an agent, with one of them as lead, and each alone."""

from __future__ import annotations

import itertools
import json
from typing import Callable

import pytest

from lab import nix, sshd
from lab.content import Shape, make_closure
from lab.host import wait_until
from lab.lab import ACCOUNT, ALIAS, ROOT_ALIAS, Lab
from nix_remote.agent.freshness import FRESH_SECONDS
from tests.conftest import AddEntry
from tests.endurance.agent_faults import FAULTS, strike
from tests.integration.copier import assert_kept_whole, new_closure, root_links
from tests.integration.herd import FOLDER, LAUNCHER, Herd
from tests.integration.test_interruptions import in_the_middle

_numbers = itertools.count(1)
_COPIERS = 12


def closures(lab: Lab) -> list[str]:
    """Paths that reference one another, so that their closures overlap."""
    return make_closure(lab.workstation, Shape(f"herd-{next(_numbers)}", 40, 2, 20_000))


def prune_and_collect(lab: Lab, kept: list[str]) -> None:
    """The effect of `nix-remote roots prune` and the server's next collection."""
    lab.server.sh(f"rm -rf /home/{ACCOUNT}/.local/state/nix-remote/gcroots")
    lab.server.sh("rm -f /nix/var/nix/gcroots/auto/*")
    nix.collect_garbage(lab.server)
    for path in kept:
        assert nix.is_valid(lab.server, path)


def cut_connections(lab: Lab) -> None:
    lab.server.sh(f"pkill -KILL -f 'sshd-[s]ession: {ACCOUNT}' || true")
    wait_until(
        lambda: lab.server.run(["pgrep", "-f", "nix-[d]aemon --stdio"]).status == 1,
        "the server's side of the session to end",
    )


def test_with_an_agent_all_share_one_login_and_every_path_is_sent_once(
    lab: Lab, herd: Herd, agent: int
) -> None:
    paths = closures(lab)
    tops = paths[-_COPIERS:]
    before = lab.ssh_server.logins()
    data = herd.copy_all(tops)
    assert lab.ssh_server.logins() == before + 1
    sent = [path for each in data for path in each["sent"]]
    assert sorted(sent) == sorted(paths)
    assert_kept_whole(lab.server, lab.workstation, paths)
    assert set(root_links(lab.server).values()) >= set(tops)
    again = herd.copy_all(tops)
    assert [each["sent"] for each in again] == [[]] * _COPIERS
    assert [each["closure"] for each in again] == [each["closure"] for each in data]
    assert lab.ssh_server.logins() == before + 1


def test_without_an_agent_one_serves_the_others_and_every_path_is_sent_once(
    lab: Lab, herd: Herd
) -> None:
    paths = closures(lab)
    before = lab.ssh_server.logins()
    data = herd.copy_all(paths[-_COPIERS:])
    assert lab.ssh_server.logins() - before <= _COPIERS // 2
    assert sorted(path for each in data for path in each["sent"]) == sorted(paths)
    assert_kept_whole(lab.server, lab.workstation, paths)
    assert herd.told() is None
    assert lab.workstation.run(["pgrep", "-f", "nix_[r]emote"]).status == 1


def test_alone_as_well_every_path_is_sent_once(lab: Lab, herd: Herd) -> None:
    paths = closures(lab)
    before = lab.ssh_server.logins()
    data = herd.copy_all(paths[-4:], "--no-agent")
    assert lab.ssh_server.logins() == before + 4
    assert sorted(path for each in data for path in each["sent"]) == sorted(paths)


def test_what_the_agent_knows_costs_not_one_packet(
    lab: Lab, herd: Herd, agent: int, entry: AddEntry
) -> None:
    # Keepalives of the connection are packets too.
    alias = entry("quiet", "ServerAliveInterval 300")
    tops = closures(lab)[-_COPIERS:]
    herd.copy_all(tops, alias=alias)
    # The first use after a while is followed by a renewal of the root, and no other soon.
    lab.workstation.run(["sleep", str(FRESH_SECONDS + 0.5)])
    herd.copy(tops[0], alias=alias, package="package-0").check()

    def figures() -> dict[str, int]:
        told = herd.told()
        assert told is not None
        found: dict[str, int] = told["servers"][0]
        return found

    wait_until(lambda: figures()["renewed"] == 1, "the root to be renewed")
    before = herd.packets()
    found = herd.copy(tops[0], alias=alias, package="package-0").check()
    assert found.text == ""
    assert herd.packets() == before
    assert figures()["without_copy"] == 2


def test_a_server_that_was_silent_is_asked_before_cached_answers_are_used(
    lab: Lab, herd: Herd, agent: int
) -> None:
    top = closures(lab)[-1]
    herd.copy(top).check()
    # Of the clock's own: it cannot be put on for a process of another host.
    lab.workstation.run(["sleep", str(FRESH_SECONDS + 0.5)])
    before = herd.packets()
    herd.copy(top).check()
    assert herd.packets() > before
    told = herd.told()
    assert told is not None
    assert told["servers"][0]["copies"] == 1


_FAILURES = [
    ["--host=no-such-host", "/nix/store"],
    ["/etc/passwd"],
    ["/nix/store/00000000000000000000000000000000-nothing"],
    ["--sign-key=missing", "/nix/store"],
    ["--nonsense"],
    ["--host=no-such-host", "{top}"],
]


def test_failures_are_the_same_with_an_agent_as_alone(herd: Herd, lab: Lab, agent: int) -> None:
    top = closures(lab)[0]

    def run(*words: str) -> tuple[int, str, str, str]:
        command = ["env", "--chdir=/tmp", *herd.command(*words, package="hello")]
        done = lab.workstation.run(command)
        file = lab.workstation.sh("cat /tmp/error 2>/dev/null || true; rm -f /tmp/error")
        return done.status, done.stdout, done.stderr, file

    for words, how in zip(_FAILURES, itertools.cycle([[], ["--json"], ["--error-file=error"]])):
        wanted = [*how, *(word.format(top=top) for word in words)]
        alone = run("--no-agent", *wanted)
        assert alone[0] != 0
        assert run(*wanted) == alone


def test_a_manifest_is_written_where_the_client_is(herd: Herd, lab: Lab, agent: int) -> None:
    top = closures(lab)[-1]
    command = ["env", "--chdir=/tmp", *herd.command("--manifest=new/manifest.json", top)]
    lab.workstation.run(command).check()
    manifest = json.loads(lab.workstation.read("/tmp/new/manifest.json"))
    assert list(manifest["roots"]) == [top]
    lab.workstation.sh("rm -r /tmp/new")


def test_roots_that_are_pruned_meanwhile_are_there_again_when_the_agent_has_left(
    lab: Lab, herd: Herd
) -> None:
    paths = closures(lab)
    with herd.agent_running():
        herd.copy(paths[-1]).check()
        # What the agent holds temporary roots for survives.
        prune_and_collect(lab, kept=paths)
        herd.copy(paths[-1]).check()
    assert paths[-1] in root_links(lab.server).values()
    nix.collect_garbage(lab.server)
    assert_kept_whole(lab.server, lab.workstation, paths)


def test_paths_lost_with_the_connection_are_all_sent_again(
    lab: Lab, herd: Herd, agent: int
) -> None:
    first, second = closures(lab), closures(lab)
    herd.copy(first[-1]).check()
    herd.copy(second[-1]).check()
    cut_connections(lab)
    prune_and_collect(lab, kept=[])
    assert not nix.is_valid(lab.server, first[0])
    herd.copy(first[-1]).check()
    # The other one had been vouched for as well.
    assert_kept_whole(lab.server, lab.workstation, [*first, *second])


@pytest.mark.parametrize(
    "version",
    [nix.Version.CURRENT, pytest.param(nix.Version.V2_8, marks=pytest.mark.thorough)],
)
def test_temporary_roots_lost_with_the_daemon_are_noticed(
    lab: Lab, herd: Herd, agent: int, version: nix.Version
) -> None:
    server = lab.server_with(version)
    paths = closures(lab)
    herd.copy(paths[-1], alias=server.name).check()
    # The process of this connection: the session over SSH does not notice.
    server.sh("pkill -KILL -P $(cat /run/nix-daemon.pid)")
    server.sh(f"rm -rf /home/{ACCOUNT}/.local/state/nix-remote/gcroots")
    nix.empty_store(server)
    assert not nix.is_valid(server, paths[0])
    lab.workstation.run(["sleep", str(FRESH_SECONDS + 0.5)])
    herd.copy(paths[-1], alias=server.name).check()
    assert_kept_whole(server, lab.workstation, paths)


def test_ensure_repairs_what_was_lost_without_a_connection(lab: Lab, herd: Herd) -> None:
    base = f"/root/output-base-{next(_numbers)}"
    first, second = closures(lab), closures(lab)
    for name, paths in {"first": first, "second": second}.items():
        manifest = f"{base}/external/{name}/bazel-support/nix-remote/manifest.json"
        herd.copy(f"--manifest={manifest}", paths[-1], package=name).check()
    ensure = ["nix-remote", "ensure", f"--host={ALIAS}", f"--output-base={base}"]
    before = lab.ssh_server.logins()
    kept = lab.workstation.run(ensure).check().stderr
    assert f"{ALIAS} keeps {len(first) + len(second)} paths; none was lost" in kept
    prune_and_collect(lab, kept=[])
    repaired = lab.workstation.run(ensure).check().stderr
    assert lab.ssh_server.logins() == before + 2
    assert f"{len(first) + len(second)} lost paths sent again" in repaired
    assert [path for path in [*first, *second] if path not in repaired] == []
    assert_kept_whole(lab.server, lab.workstation, [*first, *second])
    assert {first[-1], second[-1]} <= set(root_links(lab.server).values())


def kill_agent(herd: Herd, agent: int) -> None:
    herd.host.sh(f"kill -KILL {agent}")


def stop_agent(herd: Herd, agent: int) -> None:
    herd.host.sh(f"kill -TERM {agent}")


@pytest.mark.parametrize("end", [kill_agent, stop_agent])
def test_an_agent_that_ends_in_the_middle_fails_no_copy(
    lab: Lab, herd: Herd, agent: int, end: Callable[[Herd, int], None]
) -> None:
    closure = new_closure(lab.workstation, megabytes=150)
    running = herd.start(closure[-1])
    wait_until(lambda: in_the_middle(lab, closure), "the copy to be in the middle", interval=0.01)
    end(herd, agent)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, output.decode()
    assert_kept_whole(lab.server, lab.workstation, closure)


def test_a_copier_that_leads_and_is_killed_is_followed_by_another(lab: Lab, herd: Herd) -> None:
    closure = new_closure(lab.workstation, megabytes=150)
    other = new_closure(lab.workstation)
    leading = herd.start(closure[-1], package="leading")
    wait_until(lambda: in_the_middle(lab, closure), "the copy to be in the middle", interval=0.01)
    # It stays there until all others have come.
    lab.server.sh("pkill -STOP -f 'nix-[d]aemon --stdio'")
    followers = [herd.start(other[-1], package=f"follower-{number}") for number in range(3)]

    def all_wait() -> bool:
        told = herd.told()
        return told is not None and told["servers"][0]["waiting"] == 4

    wait_until(all_wait, "the others to wait")
    leader = (herd.told() or {})["pid"]
    lab.workstation.sh(f"kill -KILL {leader}")
    lab.server.sh("pkill -CONT -f 'nix-[d]aemon --stdio' || true")
    leading.communicate(timeout=60)
    assert leading.returncode == -9
    for follower in followers:
        output, _ = follower.communicate(timeout=60)
        assert follower.returncode == 0, output.decode()
    assert_kept_whole(lab.server, lab.workstation, other)


def test_a_socket_that_is_removed_is_made_again(lab: Lab, herd: Herd, agent: int) -> None:
    lab.workstation.sh(f"rm {FOLDER}/agent.socket")
    herd.copy(closures(lab)[-1]).check()
    told = herd.told()
    assert told is not None
    assert told["pid"] == agent


@pytest.mark.thorough
def test_an_agent_whose_folder_is_removed_leaves(lab: Lab, herd: Herd, agent: int) -> None:
    lab.workstation.sh(f"rm -r {FOLDER}")
    herd.copy(closures(lab)[-1]).check()
    wait_until(lambda: not lab.workstation.has_process(agent), "the agent to leave")


def test_two_configurations_of_one_name_share_nothing(lab: Lab, herd: Herd, agent: int) -> None:
    top = closures(lab)[-1]
    herd.copy(top).check()
    config = lab.workstation.read("/root/.ssh/config")
    renamed = config.replace(f"Host {ALIAS}\n", "Host other\n").replace(
        f"Host {ROOT_ALIAS}\n", f"Host {ALIAS}\n"
    )
    lab.workstation.write("/root/other-config", renamed, mode="600")
    before = root_links(lab.server, "/root")
    herd.copy(top, env={"NIX_REMOTE_SSH_CONFIG": "/root/other-config"}).check()
    assert len(root_links(lab.server, "/root")) == len(before) + 1
    told = herd.told()
    assert told is not None
    assert [each["logins"] for each in told["servers"]] == [1, 1]


def test_a_client_of_another_version_works_alone_and_the_agent_leaves(
    lab: Lab, herd: Herd, agent: int
) -> None:
    top = closures(lab)[-1]
    lab.workstation.sh(
        "mkdir -p /tmp/other && cp -r /src/nix_remote/nix_remote/agent/thin_client /tmp/other/"
        " && sed -i 's/^VERSION: Final = .*/VERSION: Final = \"9.9\"/'"
        " /tmp/other/thin_client/framing.py"
        f" && sed 's#/src/nix_remote/nix_remote/agent#/tmp/other#' {LAUNCHER} >/tmp/other/run"
    )
    command = herd.command(top)
    lab.workstation.run(["sh", "/tmp/other/run", *command[1:]]).check()
    assert nix.is_valid(lab.server, top)
    wait_until(lambda: not lab.workstation.has_process(agent), "the agent to leave")


@pytest.mark.thorough
def test_an_idle_agent_leaves(lab: Lab, herd: Herd) -> None:
    with herd.agent_running("--idle=1s") as agent:
        herd.copy(closures(lab)[-1]).check()
        wait_until(lambda: not lab.workstation.has_process(agent), "the agent to leave")


@pytest.mark.thorough
def test_an_agent_without_room_for_its_log_works(lab: Lab, herd: Herd) -> None:
    lab.workstation.sh(
        "mkdir -p /tmp/state && mount -t tmpfs -o size=4k tmpfs /tmp/state"
        " && mkdir /tmp/state/nix-remote && { yes >/tmp/state/fill 2>/dev/null || true; }"
    )
    try:
        lab.workstation.run(["nix-remote", "agent", "stop"])
        start = ["nix-remote", "agent", "start"]
        lab.workstation.run(start, env={"XDG_STATE_HOME": "/tmp/state"}).check()
        herd.copy(closures(lab)[-1]).check()
        told = herd.told()
        assert told is not None
        assert told["servers"][0]["answered"] == 1
    finally:
        herd.agent("stop").check()
        lab.workstation.sh("umount /tmp/state")


@pytest.mark.thorough
def test_an_account_cannot_use_the_agent_of_another(lab: Lab, herd: Herd, agent: int) -> None:
    sshd.add_account(lab.workstation, "other")
    code = (
        "import sys; sys.path.insert(0, '/src/nix_remote/nix_remote/agent')\n"
        "from thin_client import connecting, framing\n"
        f"try: print(connecting.connect({FOLDER!r}))\n"
        "except framing.Unusable as error: print(error)"
    )
    tried = lab.workstation.run(["python3", "-I", "-c", code], user="other").check()
    assert "Permission denied" in tried.stdout


def test_the_agent_talks_to_its_own_account_only(lab: Lab, herd: Herd) -> None:
    sshd.add_account(lab.workstation, "other")
    start = ["env", "HOME=/home/other", "nix-remote", "agent", "start"]
    lab.workstation.run(start, user="other").check()
    try:
        folder = "/tmp/nix-remote-" + lab.workstation.sh("id -u other").strip()
        code = (
            f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{folder}/agent.socket');"
            "s.sendall(b'H' + bytes(4)); print(s.recv(100))"
        )
        # root may enter the folder; it is refused all the same.
        assert lab.workstation.run(["python3", "-c", code]).stdout in ("b''\n", "")
    finally:
        stop = ["env", "HOME=/home/other", "nix-remote", "agent", "stop"]
        lab.workstation.run(stop, user="other").check()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "fault",
    ["agent killed", "server rebooted"]
    + [
        pytest.param(name, marks=pytest.mark.thorough)
        for name in FAULTS
        if name not in ("agent killed", "server rebooted")
    ],
)
def test_a_herd_survives_what_happens_to_its_agent(lab: Lab, herd: Herd, fault: str) -> None:
    found = strike(lab, herd, fault, count=2, seed=7)
    assert not found.wrong, "\n".join(found.wrong)
