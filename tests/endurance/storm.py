"""Copies to a server whose garbage collector never rests.

Every closure is looked at when its copy has returned and every collection that
could have begun before has ended: a path that is not valid then, although its
root exists, is a broken promise.

Paths of many files take long to delete. That widens the gap in which a copy
can meet a path that is still valid, but condemned.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Iterator, Mapping, Sequence

from tests.lab import nix
from tests.lab.commands import LabError, Outcome
from tests.lab.host import Host
from tests.lab.lab import alias

_GRAPH = """
let
  at = list: number: builtins.elemAt list (number - (number / builtins.length list)
    * builtins.length list);
  leaf = number: pkgs.runCommand "storm-leaf-${toString number}" { } ''
    head -c SIZE /dev/urandom > $out; exit 0
  '';
  leaves = builtins.genList leaf 12;
  middle = number: pkgs.runCommand "storm-middle-${toString number}" {
    needs = [ (at leaves number) (at leaves (number * 5 + 1)) (at leaves (number * 7 + 3)) ];
  } "mkdir $out; cd $out; echo $needs > needs; touch file-{1..FILES}";
  middles = builtins.genList middle 16;
  top = number: pkgs.runCommand "storm-top-${toString number}" {
    needs = [ (at middles number) (at middles (number * 3 + 1)) (at leaves (number + 2)) ];
  } "mkdir $out; echo $needs > $out/needs";
in builtins.genList top COUNT
"""


@dataclass
class Findings:
    """What a storm did to the promise."""

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
    sources: str = "/src/nix_remote"
    """Where the copier's sources are on the workstation."""

    def rage(self, *, copies: int, at_once: int, seed: int, closures: int = 24) -> Findings:
        """So many copies, of closures that overlap and are half there, several at once."""
        tops = self._build(closures)
        needs = {top: nix.closure(self.workstation, top) for top in tops}
        findings = Findings()
        chance = random.Random(seed)
        rounds = [chance.sample(tops, len(tops)) for _ in range(copies // len(tops) + 1)]
        keep = {top: chance.random() < 0.3 for top in tops}
        with _collector_without_rest(self.server):
            for order in rounds:
                wanted = order[: copies - findings.copies]
                with ThreadPoolExecutor(at_once) as pool:
                    for outcome in pool.map(self._copy, wanted):
                        findings.count(outcome)
                promised = {path for top in wanted for path in needs[top]}
                # Waits for the collection that runs, which may have begun before a root was.
                self.server.run(["nix-store", "--gc", "--max-freed", "0"], timeout=120)
                findings.lost += self._invalid(sorted(promised))
                self._lose_roots([top for top in wanted if not keep[top]])
        self._lose_roots(tops)
        return findings

    def _build(self, count: int) -> list[str]:
        expression = _GRAPH.replace("COUNT", str(count)).replace("SIZE", "400000")
        return nix.build_expression(self.workstation, expression.replace("FILES", "1500"))

    def _copy(self, top: str) -> Outcome:
        env: Mapping[str, str] = {
            "NIX_REMOTE_PROTOCOL": self.protocol,
            "PYTHONPATH": self.sources,
            "PYTHONPYCACHEPREFIX": "/tmp/bytecode",
        }
        command = ["/opt/nix-remote/bin/python", "-m", "nix_remote", "copy"]
        command += ["--workspace=/root/projects/storm", "--host", alias(self.server), "-v", top]
        try:
            return self.workstation.run(command, env=env, timeout=120)
        except LabError as hang:
            return Outcome(tuple(command), -1, "", str(hang))

    def _invalid(self, paths: Sequence[str]) -> list[str]:
        """Those of the paths that the server does not have."""
        checked = self.server.run(["nix-store", "--check-validity", "--print-invalid", *paths])
        return checked.stdout.split()

    def _lose_roots(self, tops: Sequence[str]) -> None:
        names = " ".join(f"-name {top.rpartition('/')[2]} -o" for top in tops)
        self.server.sh(f"find /home/copier/.local {names} -false | xargs -r rm -f")


@contextmanager
def _collector_without_rest(server: Host) -> Iterator[None]:
    loop = "while :; do nix-store --gc >/dev/null 2>&1; done"
    server.start_service("collector", ["bash", "-c", loop])
    try:
        yield
    finally:
        server.stop_service("collector")


def mutant(workstation: Host, name: str, file: str, old: str, new: str) -> str:
    """A copy of the copier's sources with one text replaced; returns where it is."""
    folder = f"/opt/mutants/{name}"
    workstation.sh(f"mkdir -p {folder}; cp -r /src/nix_remote/nix_remote {folder}/")
    source = workstation.read(f"{folder}/nix_remote/{file}")
    assert source.count(old) == 1, f"{file} has {source.count(old)} times: {old}"
    workstation.write(f"{folder}/nix_remote/{file}", source.replace(old, new))
    return folder
