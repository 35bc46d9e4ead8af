"""Copies to a server whose garbage collector never rests.

Every closure is checked after its copy has returned and every collection that
could have begun before has ended: a path that is then invalid although its root
exists breaks the promise.

Two measures widen the windows in which a careless copier loses a path, as on busy
servers. Before each round, thousands of paths are added that reference the closures,
which no root keeps: the collector condemns them all together and deletes the
closures last, while a copy is told that they are valid. And processes with large
environments, which the collector scans, keep it busy between reading the durable
roots and reading the temporary ones.
"""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Iterator, Mapping, Sequence

from lab import content, nix
from lab.commands import LabError, Outcome
from lab.host import Host
from lab.lab import alias
from tests.endurance.findings import invalid

_CLOSURES: Final = 24
_PER_ROUND: Final = 6
_REFERRERS: Final = 2000
_PROCESSES: Final = 30

_GRAPH: Final = """
let
  at = list: number: builtins.elemAt list (number - (number / builtins.length list)
    * builtins.length list);
  leaf = number: pkgs.runCommand "storm-leaf-${toString number}" { } ''
    head -c SIZE /dev/urandom > $out; exit 0
  '';
  leaves = builtins.genList leaf 12;
  middle = number: pkgs.runCommand "storm-middle-${toString number}" {
    needs = [ (at leaves number) (at leaves (number * 5 + 1)) (at leaves (number * 7 + 3)) ];
  } "echo $needs > $out";
  middles = builtins.genList middle 16;
  top = number: pkgs.runCommand "storm-top-${toString number}" {
    needs = [ (at middles number) (at middles (number * 3 + 1)) (at leaves (number + 2)) ];
  } "mkdir $out; echo $needs > $out/needs";
in builtins.genList top COUNT
"""


@dataclass
class Findings:
    """The result of a storm."""

    copies: int = 0
    sent: int = 0
    """Paths sent in all: low means that nothing was collected, and the storm was none."""
    lost: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def count(self, copy: Outcome) -> None:
        """Takes in the outcome of one copy."""
        self.copies += 1
        self.sent += copy.stderr.count("registered /nix/store/")
        if copy.status != 0:
            self.failures.append(copy.text)


@dataclass(frozen=True)
class Storm:
    """Copies from a workstation to a server, over one protocol."""

    workstation: Host
    server: Host
    protocol: str
    sources: Sequence[str] = ("/src/nix_remote",)
    """Where the copier's sources are on the workstation; several are taken by turns."""
    collector: str = "nix-store"
    """The program on the server that collects."""

    def rage(self, *, copies: int, at_once: int, seed: int) -> Findings:
        """So many copies, of closures that overlap and are half there, several at once."""
        tops = self._build(_CLOSURES)
        needs = {top: nix.closure(self.workstation, top) for top in tops}
        findings = Findings()
        chance = random.Random(seed)
        kept: list[str] = []
        with _many_processes(self.server):
            while findings.copies < copies:
                there = sorted({path for top in kept for path in needs[top]})
                self._condemn(there, f"storm-{seed}-{findings.copies}")
                wanted = chance.sample(tops, min(_PER_ROUND, copies - findings.copies))
                calm = _collector_without_rest(self.server, self.collector)
                with calm, ThreadPoolExecutor(at_once) as pool:
                    for outcome in pool.map(self._copy, wanted, itertools.cycle(self.sources)):
                        findings.count(outcome)
                promised = {path for top in wanted for path in needs[top]}
                findings.lost += invalid(self.server, sorted(promised))
                # A closure of which a part has been lost cannot be built upon.
                kept = [] if findings.lost else wanted
        return findings

    def _condemn(self, paths: Sequence[str], name: str) -> None:
        """Removes the roots of paths, and makes their deletion slow."""
        if paths:
            content.make_referrers(self.server, name, _REFERRERS, paths)
        self.server.sh("rm -rf /home/copier/.local/state")

    def _build(self, count: int) -> list[str]:
        expression = _GRAPH.replace("COUNT", str(count)).replace("SIZE", "400000")
        return nix.build_expression(self.workstation, expression)

    def _copy(self, top: str, sources: str) -> Outcome:
        env: Mapping[str, str] = {
            "NIX_REMOTE_PROTOCOL": self.protocol,
            "PYTHONPATH": sources,
            "PYTHONPYCACHEPREFIX": "/tmp/bytecode",
        }
        command = ["/opt/nix-remote/bin/python", "-m", "nix_remote", "copy"]
        command += ["--workspace=/root/projects/storm", "--host", alias(self.server), "-v", top]
        try:
            return self.workstation.run(command, env=env, timeout=120)
        except LabError as hang:
            return Outcome(tuple(command), -1, "", str(hang))


@contextmanager
def _collector_without_rest(server: Host, program: str) -> Iterator[None]:
    """Collects garbage repeatedly; when it ends, no collection runs."""
    loop = f"while [ ! -e /run/calm ]; do NIX_REMOTE=local {program} --gc >/dev/null 2>&1; done"
    server.sh("rm -f /run/calm")
    server.start_service("collector", ["bash", "-c", loop])
    try:
        yield
    finally:
        server.sh("touch /run/calm")
        pid = server.read("/run/collector.pid").strip()
        gone = f"while kill -0 {pid} 2>/dev/null; do sleep 0.05; done"
        server.sh(gone, timeout=120)


@contextmanager
def _many_processes(server: Host) -> Iterator[None]:
    """Processes whose environments take a collector long to search."""
    start = (
        "export ROOM=$(head -c 100000 /dev/zero | tr '\\0' x); "
        f"for n in {{1..{_PROCESSES}}}; do sleep infinity & done; wait"
    )
    server.start_service("processes", ["bash", "-c", start])
    try:
        yield
    finally:
        server.sh("pkill -KILL -P $(cat /run/processes.pid)")


def with_two_sessions(workstation: Host) -> str:
    """Sources of a copier that takes a second session however little there is to send."""
    return mutant(
        workstation, "two-sessions", "server/upload.py", "Final = 8 * 1024 * 1024", "Final = 1"
    )


def mutant(workstation: Host, name: str, file: str, old: str, new: str) -> str:
    """A copy of the copier's sources with one text replaced; returns where it is."""
    folder = f"/opt/mutants/{name}"
    workstation.sh(f"mkdir -p {folder}; cp -r /src/nix_remote/nix_remote {folder}/")
    source = workstation.read(f"{folder}/nix_remote/{file}")
    assert source.count(old) == 1, f"{file} has {source.count(old)} times: {old}"
    workstation.write(f"{folder}/nix_remote/{file}", source.replace(old, new))
    return folder
