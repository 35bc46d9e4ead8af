"""Copies whose connection is cut, or whose server dies, at random moments.

After every fault, the copy either recovers or fails with one of nix_remote's
errors; no incomplete path is valid on the server; and the next copy completes
soon, so no lock is left behind.
"""

from __future__ import annotations

import queue
import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Iterable, Sequence

from lab import sshd
from lab.commands import LabError
from lab.content import Shape, make_closure
from lab.host import Host, wait_until
from lab.lab import ACCOUNT, alias
from lab.relay import Action, Direction, Fault, Relay
from tests.endurance.findings import ENDINGS, Findings, codes, half_done, invalid

_PATHS: Final = 8
_FILES: Final = 4
_AT_WORK: Final = 0.6
"""The part of a copy in which the server works for it; before, it is started and logs in."""
_BOUND: Final = 60.0
"""Seconds for a copy with all its retries."""
_NEXT_BOUND: Final = 30.0
_NO_PENALTIES: Final = "PerSourcePenalties no\nMaxStartups 100"
_FIRST_PORT: Final = 2310
_TARGET_PORT: Final = 2309


@dataclass(frozen=True)
class Trials:
    """Copies from a workstation to a server, over one protocol, with random faults."""

    workstation: Host
    server: Host
    protocol: str
    seed: int

    def cut(self, count: int, *, at_once: int) -> Findings:
        """Cuts connections at a random byte, half of them again at every retry."""
        chance = random.Random(self.seed)
        closures = self._closures("cut", count + 1, file_size=40_000)
        target = sshd.SshServer(self.server, _TARGET_PORT)
        target.start(_NO_PENALTIES)
        idle: queue.Queue[Relay] = queue.Queue()
        relays = [
            Relay(self.server, port=_FIRST_PORT + each, target_port=_TARGET_PORT)
            for each in range(at_once)
        ]
        try:
            for relay in relays:
                relay.__enter__()
                sshd.introduce(self.workstation, relay.ssh_server, {_name(relay): ACCOUNT})
                idle.put(relay)
            self._copy(_name(relays[0]), closures[0], _BOUND)
            most = dict(relays[0].connections[-1].forwarded)
            plans = [
                (closure, _any_fault(chance, most), chance.random() < 0.5)
                for closure in closures[1:]
            ]

            def one(plan: tuple[Sequence[str], Fault, bool]) -> Findings:
                closure, fault, again = plan
                relay = idle.get(timeout=600)
                try:
                    return self._cut_one(relay, closure, fault, once=not again)
                finally:
                    idle.put(relay)

            with ThreadPoolExecutor(at_once) as pool:
                return _sum(pool.map(one, plans))
        finally:
            for relay in relays:
                relay.__exit__()
            target.stop()

    def _cut_one(
        self, relay: Relay, closure: Sequence[str], fault: Fault, *, once: bool
    ) -> Findings:
        before = len(relay.connections)
        relay.fault = fault
        with self._start(_name(relay), closure) as copier:
            if once:
                wait_until(lambda: len(relay.connections) > before, "the copier to connect")
                relay.fault = None
            output, _ = copier.communicate(timeout=_BOUND)
        relay.fault = None
        struck = any(each.happened for each in relay.connections[before:])
        return self._judge(closure, fault, output.decode(), copier.returncode, struck, heals=once)

    def kill(self, count: int) -> Findings:
        """Kills a process of the server that works for the copy, at a random moment of it."""
        chance = random.Random(self.seed)
        closures = self._closures("kill", count + 1, file_size=640_000)
        name = alias(self.server)
        begun = time.monotonic()
        self._copy(name, closures[0], _BOUND)
        usual = time.monotonic() - begun
        findings = []
        for closure in closures[1:]:
            victim = chance.choice(list(_VICTIMS))
            moment = chance.uniform(0, usual * _AT_WORK)
            kill = f"until pgrep -f '{_SESSION}'; do sleep 0.01; done; sleep {moment:.3f}; "
            with self._start(name, closure) as copier:
                killed = self.server.run(["bash", "-c", kill + _VICTIMS[victim]], timeout=_BOUND)
                output, _ = copier.communicate(timeout=_BOUND)
            struck = killed.status == 0
            what = f"{victim} killed after {moment:.2f} s of its session"
            findings.append(
                self._judge(closure, what, output.decode(), copier.returncode, struck, heals=True)
            )
        return _sum(findings)

    def _judge(
        self,
        closure: Sequence[str],
        what: object,
        output: str,
        status: int,
        struck: bool,
        *,
        heals: bool,
    ) -> Findings:
        found = Findings(trials=1, struck=int(struck))

        def wrong(why: str) -> None:
            found.wrong.append(f"{what}: {why}\n{output}")

        if status == 0:
            found.healed = int(struck)
        else:
            found.failed = 1
            told = codes(output)
            if not struck or heals or not told or not told <= ENDINGS:
                wrong(f"ended with {status} and {told}")
        damage = half_done(self.server, closure)
        if damage:
            wrong(f"not what it should be: {damage}")
        try:
            self._copy(alias(self.server), closure, _NEXT_BOUND)
        except LabError as error:
            wrong(f"the next copy: {error}")
        else:
            missing = invalid(self.server, closure)
            if missing or half_done(self.server, closure):
                wrong(f"after the next copy: {missing}")
        return found

    def _closures(self, what: str, count: int, *, file_size: int) -> list[list[str]]:
        name = f"{what}-{self.protocol}-{self.seed}"
        shapes = [Shape(f"{name}-{n}", _PATHS, _FILES, file_size) for n in range(count)]
        return [make_closure(self.workstation, shape) for shape in shapes]

    def _command(self, name: str, closure: Sequence[str]) -> list[str]:
        return ["nix-remote", "copy", "--workspace=/root/projects/app", "--host", name, closure[-1]]

    def _start(self, name: str, closure: Sequence[str]) -> subprocess.Popen[bytes]:
        return self.workstation.popen(
            self._command(name, closure),
            env={"NIX_REMOTE_PROTOCOL": self.protocol},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _copy(self, name: str, closure: Sequence[str], bound: float) -> None:
        command, env = self._command(name, closure), {"NIX_REMOTE_PROTOCOL": self.protocol}
        self.workstation.run(command, env=env, timeout=bound).check()


# Each kills one process and succeeds if there was one. Of the daemon it is the process of a
# connection, not the one that listens.
_SESSION: Final = "(nix-daemon --[s]tdio|nix-store --[s]erve)"
_VICTIMS: Final = {
    "sshd": "pkill -KILL -n -f 'sshd.*: copier'",
    "the session's Nix": f"pkill -KILL -n -f '{_SESSION}'",
    "the daemon": "pkill -KILL -n -P $(cat /run/nix-daemon.pid)",
}


def _any_fault(chance: random.Random, most: dict[Direction, int]) -> Fault:
    direction = chance.choice(list(Direction))
    action = chance.choice([Action.FIN, Action.RST])
    return Fault(direction, chance.randrange(most[direction]), action)


def _name(relay: Relay) -> str:
    return f"relay-{relay.port}"


def _sum(findings: Iterable[Findings]) -> Findings:
    total = Findings()
    for each in findings:
        total.trials += each.trials
        total.struck += each.struck
        total.healed += each.healed
        total.failed += each.failed
        total.wrong += each.wrong
    return total
