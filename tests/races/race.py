"""One copy beside one collector, each held at a point of its work, and what was lost."""

from __future__ import annotations

import enum
import itertools
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Callable, Final, Iterator, Optional

from lab import content
from lab.host import Host, wait_until
from lab.lab import alias
from tests.endurance.findings import invalid
from tests.integration.copier import new_closure
from tests.races import servers
from tests.races.collector import Collector, Point, root_of, waiting_for_lock
from tests.races.held_copier import FOLDER, REACHED, RELEASED, Step
from tests.races.servers import Mixture

_BOUND: Final = 60.0
_PATIENCE: Final = 30.0
"""Seconds after which a copier that neither ends nor waits for the lock is taken to wait for the
collector in another way."""
_WORKSPACE: Final = "/root/projects/race"
_COLLECT: Final = "NIX_REMOTE=local /usr/bin/nix-store --gc"
_numbers = itertools.count(1)


class There(enum.Enum):
    """What the server has before the copy. Unless a root is named, nothing keeps it."""

    ALL = "all"
    HALF = "half"
    """All but the top path."""
    KEPT = "kept"
    """All, by the durable root of an earlier copy, which this one makes again."""


class Side(enum.Enum):
    COPIER = "copier"
    COLLECTOR = "collector"


@dataclass(frozen=True)
class Case:
    """Where each side is held, which side gets there first, and which side goes on first."""

    step: Step
    point: Point
    there: There = There.ALL
    first: Side = Side.COPIER
    goes_on: Side = Side.COPIER
    queued: bool = False
    """Whether another collector waits for the first one to end."""

    def __str__(self) -> str:
        words = [self.step.value, self.point.name.lower(), self.there.value, self.first.value]
        return "-".join([*words, self.goes_on.value, *(["queued"] if self.queued else [])])


def product() -> Iterator[Case]:
    """Every case that differs from the others."""
    orders = [
        (Side.COPIER, Side.COPIER),
        (Side.COLLECTOR, Side.COPIER),
        (Side.COLLECTOR, Side.COLLECTOR),
    ]
    held = [point for point in Point if point is not Point.END]
    for step in Step:
        for point in (Point.ROOTS, Point.TEMPORARY_ROOTS, Point.DELETION):
            yield Case(step, point, There.KEPT)
    for there, step in itertools.product((There.ALL, There.HALF), Step):
        yield Case(step, Point.END, there)
        for point, (first, goes_on) in itertools.product(held, orders):
            yield Case(step, point, there, first, goes_on)
        for point in (Point.TEMPORARY_ROOTS, Point.DELETION):
            yield Case(step, point, there, queued=True)


@dataclass(frozen=True)
class Verdict:
    """How a case ended."""

    case: Case
    status: int
    text: str
    lost: tuple[str, ...]
    """Paths that are gone although the copy succeeded."""
    seconds: float

    @property
    def kept(self) -> bool:
        """Whether the copy succeeded and lost nothing, nor had to send what was kept."""
        sent = self.case.there is There.KEPT and "registered /nix/store" in self.text
        return self.status == 0 and not self.lost and not sent


class Races:
    """Races between a workstation and a server that `servers.start` has made."""

    def __init__(self, workstation: Host, server: Host, mixture: Mixture) -> None:
        self._workstation = workstation
        self._server = server
        self._collector = servers.program(mixture.collector, "nix-store")
        self._closure = new_closure(workstation)
        servers.use(server, mixture)
        self._server.sh("mkdir -p /run/race")
        self._empty()

    def _empty(self) -> None:
        self._server.sh(
            "rm -rf {/root,/home/copier}/.local/state /nix/var/nix/gcroots/auto/* "
            f"/nix/var/nix/gcroots/per-user/*/*; {_COLLECT} >/dev/null 2>&1"
        )

    def _stock(self, there: There) -> None:
        """Puts the closure, or a part of it, into the server's store."""
        paths = self._closure[:-1] if there is There.HALF else self._closure
        export = self._workstation.enter(["nix-store", "--export", *paths], {})
        store = ["/usr/bin/nix-store", "--import"]
        target = self._server.enter(store, {"NIX_REMOTE": "local"})
        with subprocess.Popen(export, stdout=subprocess.PIPE) as source:
            done = subprocess.run(target, stdin=source.stdout, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()

    def _condemn(self, there: There) -> None:
        """Adds a path that the collector deletes first, together with those that it needs.

        It comes upon them first, and then upon this one, the last: temporary roots of the others
        are not put off until it is deleted.
        """
        (middle,) = (path for path in self._closure if "-middle-" in path)
        needed = middle if there is There.HALF else self._closure[-1]
        while True:
            name = f"race-{os.getpid()}-{next(_numbers)}"
            content.make_referrers(self._server, name, 1, [needed])
            with os.scandir(self._server.store) as entries:
                names = [entry.name for entry in entries]
            (referrer,) = (each for each in names if each.endswith(f"-{name}-0"))
            if any(
                f"/nix/store/{each}" in self._closure for each in names[: names.index(referrer)]
            ):
                return
            # Left there, it would be deleted alone, before the others are condemned.
            self._server.sh(f"NIX_REMOTE=local /usr/bin/nix-store --delete /nix/store/{referrer}")

    def run(
        self, case: Case, *, account: str = "copier", protocol: str = "worker", mutant: str = "none"
    ) -> Verdict:
        """Runs a case. Raises `LabError` if one of the two does not come to an end."""
        begun = time.monotonic()
        self._empty()
        self._stock(case.there)
        self._condemn(case.there)
        if case.there is There.KEPT:
            _, text = self.start_copier("none", account, protocol, "none").finish()
            assert "kept by" in text, text
        self._workstation.sh(f"mkdir -p {FOLDER}; rm -f {REACHED} {RELEASED}")
        with ExitStack() as stack:
            race = _Running(self, case, stack)
            for side in (case.first, _other(case.first)):
                race.start(side, account, protocol, mutant)
            if case.queued:
                race.queue()
            for side in (case.goes_on, _other(case.goes_on)):
                race.go_on(side)
            status, text = race.finish()
        lost: list[str] = []
        if status == 0:
            lost += invalid(self._server, self._closure)
            self._server.sh(f"{_COLLECT} >/dev/null 2>&1")
            lost += invalid(self._server, self._closure)
        seconds = time.monotonic() - begun
        return Verdict(case, status, text, tuple(dict.fromkeys(lost)), seconds)

    def start_copier(self, step: str, account: str, protocol: str, mutant: str) -> _Copier:
        host = alias(self._server) if account == "copier" else alias(self._server, account)
        command = ["/opt/nix-remote/bin/python", "-m", "tests.races.held_copier"]
        command += [step, mutant, "copy", "--no-agent", "-v", f"--host={host}"]
        command += [f"--workspace={_WORKSPACE}", self._closure[-1]]
        env = {
            "NIX_REMOTE_PROTOCOL": protocol,
            "PYTHONPATH": "/src/nix_remote",
            "PYTHONPYCACHEPREFIX": "/tmp/bytecode",
        }
        return _Copier(self._workstation, command, env)

    def start_collector(self, point: Point, name: str) -> Collector:
        return Collector(self._server, self._collector, point, name)

    @property
    def waiting(self) -> int:
        """How many processes wait for the collector's lock."""
        return waiting_for_lock(self._server)


class _Copier:
    """The copier, started in the background."""

    def __init__(self, host: Host, command: list[str], env: dict[str, str]) -> None:
        self._folder = root_of(host)
        self._process = subprocess.Popen(
            host.enter(command, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def held(self) -> bool:
        return (self._folder / str(REACHED)[1:]).exists()

    def release(self) -> None:
        (self._folder / str(RELEASED)[1:]).touch()

    def finish(self) -> tuple[int, str]:
        output, _ = self._process.communicate(timeout=_BOUND)
        return self._process.returncode, output.decode(errors="replace")

    def kill(self) -> None:
        if not self.ended:
            self._process.kill()
            self._process.wait()


class _Running:
    """A case while it runs."""

    def __init__(self, races: Races, case: Case, stack: ExitStack) -> None:
        self._races = races
        self._case = case
        self._stack = stack
        self._copier: Optional[_Copier] = None
        self._collectors: list[Collector] = []

    def start(self, side: Side, account: str, protocol: str, mutant: str) -> None:
        """Starts one of the two, and waits until it is held, or cannot get there."""
        if side is Side.COPIER:
            copier = self._races.start_copier(self._case.step.value, account, protocol, mutant)
            self._stack.callback(copier.kill)
            self._copier = copier
            self._watch_copier(lambda: copier.held)
        else:
            self._add_collector(self._case.point, "collector-1").arrive_or_wait()

    def _add_collector(self, point: Point, name: str) -> _Arriving:
        collector = self._races.start_collector(point, name)
        self._stack.callback(collector.release)
        self._collectors.append(collector)
        return _Arriving(collector, point)

    def queue(self) -> None:
        """Starts another collector, and waits until it waits, or does not have to."""
        before = self._races.waiting
        second = self._races.start_collector(Point.END, "collector-2")
        self._collectors.append(second)
        wait_until(
            lambda: second.ended or self._races.waiting > before, "a collector", interval=0.01
        )

    def go_on(self, side: Side) -> None:
        """Releases one side, and waits until it has ended or waits for the other."""
        assert self._copier is not None
        if side is Side.COPIER:
            self._copier.release()
            self._watch_copier(lambda: False)
        else:
            for collector in self._collectors:
                collector.release()
            for collector in self._collectors:
                collector.wait()

    def _watch_copier(self, arrived: Callable[[], bool]) -> None:
        copier, queued = self._copier, len(self._collectors) - 1
        assert copier is not None
        deadline = time.monotonic() + _PATIENCE
        while not (arrived() or copier.ended) and time.monotonic() < deadline:
            if self._collectors and self._races.waiting > queued:
                return
            time.sleep(0.01)

    def finish(self) -> tuple[int, str]:
        assert self._copier is not None
        return self._copier.finish()


@dataclass(frozen=True)
class _Arriving:
    collector: Collector
    point: Point

    def arrive_or_wait(self) -> None:
        """Waits until it is held; one that is not held, until it is over."""
        if self.point is Point.END:
            self.collector.wait()
        else:
            self.collector.arrive()


def _other(side: Side) -> Side:
    return Side.COLLECTOR if side is Side.COPIER else Side.COPIER
