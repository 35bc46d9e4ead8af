"""A server with 120 000 roots: listing and removing them, during copies and collections."""

from __future__ import annotations

import json
import resource
import threading
import time
from typing import Any, Iterator

import pytest

from lab.host import Host
from lab.lab import ALIAS, Lab
from nix_remote.setup import retention
from tests.integration.copier import Copier, new_closure, root_links

pytestmark = pytest.mark.timeout(3600)

_MANY = 120_000
_OLD = 30_000
_FOLDER = "/home/copier/.local/state/nix-remote/gcroots/big-00000000"
_MAKE = f"""
import os, random, time
random.seed(1)
letters = "0123456789abcdfghijklmnpqrsvwxyz"
old = time.time() - 40 * 86400
for number in range({_MANY}):
    folder = f"{_FOLDER}/package-with-a-name-of-some-length-{{number // 1000}}"
    os.makedirs(folder, exist_ok=True)
    digest = "".join(random.choice(letters) for _ in range(32))
    link = f"{{folder}}/{{digest}}-a-package-with-a-rather-usual-name-1.2.3"
    os.symlink("/nix/store/" + os.path.basename(link), link)
    if number < {_OLD}:
        os.utime(link, (old, old), follow_symlinks=False)
"""


@pytest.fixture
def crowded(lab: Lab) -> Iterator[Host]:
    """The lab's server, with many roots that it does not know, of paths that it does not have."""
    lab.server.write("/root/crowd.py", _MAKE)
    lab.server.sh("python3 /root/crowd.py; chown -R copier: /home/copier/.local", timeout=300)
    yield lab.server
    lab.server.sh(f"rm -rf {_FOLDER}", timeout=300)


def roots(lab: Lab, *words: str) -> list[dict[str, Any]]:
    command = ["nix-remote", "roots", f"--host={ALIAS}", "--json", *words]
    done = lab.workstation.run(command, timeout=1800).check()
    found: list[dict[str, Any]] = json.loads(done.stdout)["data"]["roots"]
    return found


def test_all_are_listed_and_all_that_are_old_are_removed(lab: Lab, crowded: Host) -> None:
    begun = time.monotonic()
    assert len(roots(lab, "list")) >= _MANY
    listed = time.monotonic()
    # All processes of the host are children of this one, in the end.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    removed = roots(lab, "prune", "--older-than", "30d")
    print(
        f"\nlisted {_MANY} in {listed - begun:.0f} s, removed {len(removed)} in"
        f" {time.monotonic() - listed:.0f} s; largest process {peak} MiB"
    )
    assert len(removed) == _OLD
    left = crowded.sh(f"find {_FOLDER} -type l | wc -l").strip()
    assert left == str(_MANY - _OLD)


def test_the_servers_own_removal_takes_all_that_are_old(lab: Lab, crowded: Host) -> None:
    program = retention.program("copier", retention.Policy(room=0))
    assert program.count("/var/lib/copier") == 1
    program = program.replace("/var/lib/copier", "/home/copier")
    crowded.write("/usr/local/bin/collect", program, mode="755")
    begun = time.monotonic()
    done = crowded.run(["collect"], user="copier", timeout=1800).check()
    print(f"\nnix-remote-collect removed {_OLD} in {time.monotonic() - begun:.0f} s")
    assert done.stdout.count("removed: ") == _OLD
    left = crowded.sh(f"find {_FOLDER} -type l | wc -l").strip()
    assert left == str(_MANY - _OLD)


def test_nothing_fails_beside_copies_removals_and_collections(
    lab: Lab, copier: Copier, crowded: Host, pytestconfig: pytest.Config
) -> None:
    tops = [new_closure(lab.workstation)[-1] for _ in range(20)]
    copier.copy(*tops)
    failed: list[str] = []
    counts = {"list": 0, "prune": 0, "collect": 0}
    calm = threading.Event()

    def again(name: str, host: Host, *command: str) -> None:
        while not calm.is_set():
            done = host.run(command, timeout=600)
            counts[name] += 1
            if done.status != 0:
                failed.append(f"{name}: {done.text[-500:]}")

    prune = ("prune", "--older-than=0s", "--grace=2s", "--workspace=/root/projects/app")
    nix_remote = ("nix-remote", "roots", f"--host={ALIAS}")
    threads = [
        threading.Thread(target=again, args=("list", lab.workstation, *nix_remote, "list")),
        threading.Thread(target=again, args=("prune", lab.workstation, *nix_remote, *prune)),
        threading.Thread(target=again, args=("collect", lab.server, "nix-store", "--gc")),
    ]
    for thread in threads:
        thread.start()
    unknown: list[str] = []
    copies = pytestconfig.getoption("--copies") // 3
    try:
        for _ in range(copies):
            begun = float(lab.server.sh("date +%s.%N"))
            done = copier.run("--no-agent", *tops, timeout=600)
            if done.status != 0:
                failed.append(f"copy: {done.text[-500:]}")
                continue
            unknown += _unknown(lab.server, tops, begun)
    finally:
        calm.set()
        for thread in threads:
            thread.join(timeout=600)
    print(f"\n{copies} copies beside {counts}")
    assert failed == []
    # A removal makes a root anew that Nix has forgotten; when none runs there is none left.
    roots(lab, "prune", "--older-than=3650d")
    known = set(lab.server.sh("readlink /nix/var/nix/gcroots/auto/*").split())
    links = {link for link, path in root_links(lab.server).items() if path in tops}
    assert links - known == set()
    assert unknown == []


def _unknown(server: Host, tops: list[str], since: float) -> list[str]:
    """Paths that were copied, whose root is as the copy has made it, and that no root keeps.

    A removal may hold the root in the meantime: then its own root keeps the path.
    """
    found = server.run(["nix-store", "--gc", "--print-roots"], timeout=120).check().stdout
    kept = {line.rpartition(" -> ")[2] for line in found.splitlines()}
    links = server.sh(
        "find /home/copier/.local/state/nix-remote/gcroots/app-* -type l -printf '%T@ %l\\n'"
    )
    used = {path: time for time, path in (line.split(" ") for line in links.splitlines())}
    return [top for top in tops if float(used.get(top, 0)) >= since and top not in kept]
