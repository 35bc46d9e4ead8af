"""Herds of copiers, and faults of their agent at random moments.

With every fault, a copier that exits with 0 has kept the promise, one that does
not has printed the reason, none hangs, and the next copy completes.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable, Final, Sequence

from lab import nix, sshd
from lab.content import Shape, make_closure
from lab.host import wait_until
from lab.lab import ACCOUNT, ALIAS, ROOT_ALIAS, Lab
from nix_remote.agent.thin_client.framing import SILENCE
from tests.endurance.findings import ENDINGS, Findings, codes, half_done, invalid
from tests.integration.herd import FOLDER, LAUNCHER, Herd

_COPIERS: Final = 5
_PATHS: Final = 15
_BOUND: Final = 120.0
"""Seconds for a herd with everything that it tries again."""
_NEXT_BOUND: Final = 60.0
_TEMPORARY: Final = "/root/agents-temporary-files"

# A copier may also meet a server that is being started again.
_EXPECTED: Final = ENDINGS | {"connection-refused"}


@dataclass(frozen=True)
class Trial:
    """A herd at work, for a fault to strike."""

    lab: Lab
    herd: Herd
    chance: random.Random
    running: Sequence[subprocess.Popen[bytes]]

    def agent_process(self) -> int:
        told = self.herd.told()
        return told["pid"] if told else 0


Fault = Callable[[Trial], None]


def kill_agent(trial: Trial) -> None:
    """The process that serves: an agent or a lead."""
    process = trial.agent_process()
    if process:
        trial.lab.workstation.run(["kill", "-KILL", str(process)])


def kill_client(trial: Trial) -> None:
    trial.lab.workstation.sh("pkill -KILL -o -f 'client.[m]ain' || true")


def interrupt_bazel(trial: Trial) -> None:
    """All copiers are killed at once, as Bazel does on Ctrl-C."""
    trial.lab.workstation.sh("pkill -KILL -f 'copier.py [c]opy' || true")


def lose_connection(trial: Trial) -> None:
    trial.lab.server.sh(f"pkill -KILL -f 'sshd-[s]ession: {ACCOUNT}' || true")


def reboot_server(trial: Trial) -> None:
    """Its sshd and its daemons end with all that they have started, and come again."""
    server = trial.lab.server
    server.sh("pkill -KILL -x nix-daemon; pkill -KILL -f '[s]shd'; true")
    server.stop_service("nix-daemon")
    trial.lab.ssh_server.stop()
    nix.start_daemon(server)
    trial.lab.ssh_server.start()


def put_to_sleep(trial: Trial) -> None:
    """Stopped for longer than any client waits for a frame."""
    process = trial.agent_process()
    if process:
        trial.lab.workstation.run(["kill", "-STOP", str(process)])
        trial.lab.workstation.run(["sleep", str(SILENCE + 1)])
        trial.lab.workstation.run(["kill", "-CONT", str(process)])
        for copier in trial.running:
            # `nsenter`, through which it was started, has stopped with it.
            copier.send_signal(signal.SIGCONT)


def remove_socket(trial: Trial) -> None:
    trial.lab.workstation.sh(f"rm -f {FOLDER}/agent.socket")


def fill_log(trial: Trial) -> None:
    """The disk of the log is full; so is that of a manifest, which the client reports."""
    trial.lab.workstation.sh(
        "mkdir -p /root/.local/state/nix-remote; mountpoint -q /root/.local/state/nix-remote"
        " || mount -t tmpfs -o size=4k tmpfs /root/.local/state/nix-remote;"
        " yes >/root/.local/state/nix-remote/fill 2>/dev/null || true"
    )


def second_user(trial: Trial) -> None:
    """Another account of the workstation runs a copy of its own, which must not mix."""
    host = trial.lab.workstation
    sshd.add_account(host, "second")
    words = ["copy", f"--host={ALIAS}", "/nix/store/00000000000000000000000000000000-x"]
    env = {"HOME": "/home/second"}
    done = host.run([LAUNCHER, *words], env=env, user="second", timeout=_NEXT_BOUND)
    assert "error[" in done.stderr


def other_configuration(trial: Trial) -> None:
    """The same name means another account for one copier."""
    host = trial.lab.workstation
    config = host.read("/root/.ssh/config").replace(f"Host {ALIAS}\n", "Host other\n")
    host.write(
        "/root/other-config", config.replace(f"Host {ROOT_ALIAS}\n", f"Host {ALIAS}\n"), mode="600"
    )
    top = make_closure(host, Shape(f"other-{trial.chance.random()}", 2))[-1]
    env = {"NIX_REMOTE_SSH_CONFIG": "/root/other-config"}
    trial.herd.copy(top, env=env, timeout=_BOUND).check()
    assert nix.is_valid(trial.lab.server, top)


def upgrade(trial: Trial) -> None:
    """A copier of another version connects meanwhile."""
    host = trial.lab.workstation
    host.sh(
        "mkdir -p /tmp/upgraded"
        " && cp -r /src/nix_remote/nix_remote/agent/thin_client /tmp/upgraded/"
        " && sed -i 's/^VERSION: Final = .*/VERSION: Final = \"9.9\"/'"
        " /tmp/upgraded/thin_client/framing.py"
        f" && sed 's#/src/nix_remote/nix_remote/agent#/tmp/upgraded#' {LAUNCHER} >/tmp/upgraded/run"
    )
    top = make_closure(host, Shape(f"upgrade-{trial.chance.random()}", 2))[-1]
    command = ["sh", "/tmp/upgraded/run", *trial.herd.command(top)[1:]]
    host.run(command, timeout=_BOUND).check()
    assert nix.is_valid(trial.lab.server, top)


def starve(trial: Trial, resource: str, limit: str) -> None:
    """For a moment, the process that serves gets no more of something than it has."""
    process = trial.agent_process()
    host = trial.lab.workstation
    if process:
        host.run(["prlimit", f"--pid={process}", f"--{resource}={limit}:"])
        time.sleep(trial.chance.uniform(0.2, 3))
        host.run(
            ["prlimit", f"--pid={process}", f"--{resource}=65536:"]
            if resource == "nofile"
            else ["prlimit", f"--pid={process}", f"--{resource}=unlimited:"]
        )


def take_descriptors(trial: Trial) -> None:
    process = trial.agent_process()
    if process:
        listed = trial.lab.workstation.run(["ls", f"/proc/{process}/fd"]).stdout.split()
        most = max(map(int, listed), default=3) + 1
        starve(trial, "nofile", str(most + trial.chance.randrange(4)))


def take_memory(trial: Trial) -> None:
    """And with it threads, which need it for their stacks."""
    process = trial.agent_process()
    if process:
        told = trial.lab.workstation.run(["cat", f"/proc/{process}/statm"]).stdout.split()
        pages = int(told[0]) if told else 0
        starve(trial, "as", str(4096 * pages + trial.chance.randrange(4_000_000)))


def remove_temporary_files(trial: Trial) -> None:
    """The folder that the agent was given for them; unused without an agent."""
    trial.lab.workstation.sh(f"rm -rf {_TEMPORARY}")


def remove_home_folders(trial: Trial) -> None:
    """What the agent keeps in its home."""
    trial.lab.workstation.sh("rm -rf /root/.local/state/nix-remote /root/.cache")


def remove_runtime_folder(trial: Trial) -> None:
    trial.lab.workstation.sh(f"rm -rf {FOLDER}")


def other_profiles(trial: Trial) -> None:
    """Copiers whose environments differ, for a connection that starts a program."""
    tops = make_closure(trial.lab.workstation, Shape(f"profile-{trial.chance.random()}", 2))
    for profile in ("work", "personal"):
        env = {"AWS_PROFILE": profile}
        trial.herd.copy("--transport=openssh", tops[-1], env=env, timeout=_BOUND).check()
    assert nix.is_valid(trial.lab.server, tops[-1])


FAULTS: Final[dict[str, Fault]] = {
    "agent killed": kill_agent,
    "client killed": kill_client,
    "Ctrl-C of Bazel": interrupt_bazel,
    "connection lost": lose_connection,
    "server rebooted": reboot_server,
    "laptop sleeps": put_to_sleep,
    "socket removed": remove_socket,
    "disk of the log full": fill_log,
    "two users": second_user,
    "two configurations": other_configuration,
    "upgrade": upgrade,
    "no descriptors": take_descriptors,
    "no memory": take_memory,
    "no folder for temporary files": remove_temporary_files,
    "home folders removed": remove_home_folders,
    "runtime folder removed": remove_runtime_folder,
    "other profiles": other_profiles,
}

_OVER_OPENSSH: Final = {"no folder for temporary files"}
_STARVED: Final = re.compile(
    "MemoryError|can't start new thread|Too many open files|Cannot allocate"
)
"""Errors of a lead that lacks a resource itself."""

_MAY_KILL_COPIERS: Final = {"client killed", "Ctrl-C of Bazel", "agent killed"}


def strike(lab: Lab, herd: Herd, name: str, *, count: int, seed: int) -> Findings:
    """Herds, alternately with and without an agent, each with that fault once."""
    chance = random.Random(f"{seed} {name}")
    found = Findings()
    for number in range(count):
        shape = Shape(f"{name.replace(' ', '-')}-{seed}-{number}", _PATHS, 4, 100_000)
        paths = make_closure(lab.workstation, shape)
        herd.agent("stop").check()
        if number % 2 == 0:
            start = ["env", f"TMPDIR={_TEMPORARY}", "nix-remote", "agent", "start"]
            lab.workstation.sh(f"mkdir -p {_TEMPORARY}")
            lab.workstation.run(start).check()
        words = ["--transport=openssh"] if name in _OVER_OPENSSH else []
        running = [
            herd.start(top, *words, package=f"package-{each}")
            for each, top in enumerate(paths[-_COPIERS:])
        ]
        trial = Trial(lab, herd, chance, running)
        time.sleep(chance.uniform(0, 1.5))
        found.trials += 1
        found.struck += any(each.poll() is None for each in running)
        try:
            FAULTS[name](trial)
        finally:
            _judge(trial, name, number, paths, found)
    lab.workstation.sh("umount -l /root/.local/state/nix-remote 2>/dev/null || true")
    herd.agent("stop").check()
    return found


def _judge(
    trial: Trial,
    name: str,
    number: int,
    paths: list[str],
    found: Findings,
) -> None:
    def wrong(why: str) -> None:
        found.wrong.append(f"{name}, {number}: {why}")

    deadline = time.monotonic() + _BOUND
    for top, copier in zip(paths[-_COPIERS:], trial.running):
        try:
            output, _ = copier.communicate(timeout=max(deadline - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            copier.kill()
            output, _ = copier.communicate()
            wrong(f"hangs: {output.decode()}")
            continue
        text = output.decode()
        if copier.returncode == 0:
            _check_kept(trial.lab, top, wrong)
            continue
        found.failed += 1
        told = codes(text)
        killed = copier.returncode == -9 and name in _MAY_KILL_COPIERS
        starved = name in ("no descriptors", "no memory") and _STARVED.search(text)
        if not killed and not starved and not (told and told <= _EXPECTED):
            wrong(f"ended with {copier.returncode}: {text}")
    for top in paths[-_COPIERS:]:
        done = trial.herd.copy(top, timeout=_NEXT_BOUND)
        if done.status != 0:
            wrong(f"the next copy: {done.text}")
        _check_kept(trial.lab, top, wrong)
    wait = "the copiers to end"
    with suppress(Exception):
        wait_until(
            lambda: trial.lab.workstation.run(["pgrep", "-f", "copier.py [c]opy"]).status == 1, wait
        )


def _check_kept(lab: Lab, top: str, wrong: Callable[[str], None]) -> None:
    """The promise: the closure is valid, with the right content, and has a durable root."""
    needed = nix.closure(lab.workstation, top)
    missing = invalid(lab.server, needed)
    if missing:
        wrong(f"success, and not valid: {missing}")
        return
    damage = half_done(lab.server, needed)
    if damage:
        wrong(f"success, and not what it should be: {damage}")
    roots = lab.server.run(["nix-store", "--query", "--roots", top]).stdout
    if "nix-remote/gcroots" not in roots:
        wrong(f"success, and no durable root: {roots}")
