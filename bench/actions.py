"""What actions pay for the mount: compilations through it, compared with a local store.

A Nix server with the kernel's NFS server, set up by the generated script, and an executor with a
kernel of its own, which has the same store on a disk as well. Each command runs with empty caches
(*first*), again (*second*: a server delegates a file to the client when it is opened again), and
once more (*warm*); each time all that the client knows of folders has expired.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Final, Mapping

from bench.own_figures import Figures, Plan, distance
from lab import nix
from lab.disk import Disk, FileSystem
from lab.host import Host
from lab.images import REPOSITORY
from lab.kernel_host import KernelHost
from lab.lab import Lab
from nix_remote.setup import nfs as chosen
from tests.nfs import headers
from tests.nfs import site as sites

NAME = "actions"
_LOCAL: Final = "local"
_OURS: Final = "ours"
_CACHED: Final = "ours, FS-Cache"
_OPTIONS: Final[Mapping[str, str]] = {
    "by hand": "ro,nfsvers=3",
    "usual": "ro,nfsvers=4.2",
    "earlier": "ro,nfsvers=4.2,hard,lookupcache=positive,nosuid,nodev",
    _OURS: chosen.mount_options(),
    _CACHED: chosen.mount_options("fsc"),
}
"""Contender -> mount options."""
_STATES: Final = ("first", "second", "warm")
_EXPIRED: Final = 2.0
"""Seconds after which what a client knows of folders has expired, with our options."""

# One command, and what it cost: seconds, and calls of the NFS client.
_TIMED: Final = """
import json, subprocess, sys, time
def calls():
    try:
        with open("/proc/net/rpc/nfs") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("rpc "))
    except FileNotFoundError:
        return 0
before, begun = calls(), time.perf_counter()
subprocess.run(["/bin/sh", "-c", sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
print(json.dumps({"seconds": time.perf_counter() - begun, "calls": calls() - before}))
"""


@dataclass(frozen=True)
class _Machines:
    """The server, and the executor with its commands."""

    server: Host
    executor: KernelHost
    commands: Mapping[str, str]

    def unmount(self) -> None:
        """Leaves the executor without a store, and with empty caches."""
        script = (
            "while grep -q ' /nix/store ' /proc/self/mounts; do umount /nix/store; done;"
            " sync; echo 3 > /proc/sys/vm/drop_caches"
        )
        self.executor.sh(script)

    def mount(self, contender: str) -> None:
        """Gives the executor its store, in place of an earlier one."""
        self.unmount()
        if contender == _LOCAL:
            self.executor.sh("mount --bind /local/store /nix/store")
            return
        where = f"{self.server.address}:/nix/store /nix/store"
        self.executor.sh(f"mount -t nfs -o {_OPTIONS[contender]} {where}")

    def cost(self, command: str) -> dict[str, float]:
        """Seconds and calls of one run."""
        done = self.executor.run(["python3", "-c", _TIMED, command], timeout=300).check()
        found: dict[str, float] = json.loads(done.stdout)
        return found


def run(lab: Lab, plan: Plan) -> Figures:
    """Ratios of our options, for the C example: warm_over_local, first_over_local; warm_calls."""
    machines = _start(lab, plan)
    figures = Figures(NAME, plan)
    with distance(machines.server, plan.rtt_ms):
        _measure(machines, figures, plan)
    for what, command in (("", "C"), ("headers_", "headers")):
        for state in ("first", "warm"):
            ours, local = (figures.median(state, f"{command}, {who}") for who in (_OURS, _LOCAL))
            figures.ratios[f"{what}{state}_over_local"] = ours / local
    figures.ratios["warm_calls"] = figures.median("warm_calls", f"headers, {_OURS}")
    return figures


def _measure(machines: _Machines, figures: Figures, plan: Plan) -> None:
    connecting = headers.ping(machines.executor, machines.server)
    figures.add("connect_ms", "TCP", connecting)
    # What is cached on the disk was read in an earlier mount.
    machines.mount(_CACHED)
    for command in machines.commands.values():
        machines.cost(command)
    for number in range(plan.runs):
        plan.progress(f"run {number + 1} of {plan.runs}")
        for contender in (_LOCAL, *_OPTIONS):
            for name, command in machines.commands.items():
                machines.mount(contender)
                for state in _STATES:
                    cost = machines.cost(command)
                    figures.add(state, f"{name}, {contender}", cost["seconds"])
                    figures.add(f"{state}_calls", f"{name}, {contender}", cost["calls"])
                    time.sleep(_EXPIRED)
    machines.unmount()


def _start(lab: Lab, plan: Plan) -> _Machines:
    workstation = lab.workstation_with(nix.Version.CURRENT)
    plan.progress("setting up the server")
    server = lab.start_system_server("bench-nix")
    disks = {"store": Disk(FileSystem.EXT4, 1500), "cache": Disk(FileSystem.EXT4, 1500)}
    executor = lab.start_kernel_executor("bench-executor", disks=disks, memory=1536)
    site = sites.of_system(lab, server, executor)
    plan.progress("copying a compiler")
    compiler = nix.build(workstation, ["gcc"])["gcc"]
    site.copy(compiler)
    headers.install(server)
    commands = {"headers": headers.prepare(executor), "C": _prepare_example(executor, compiler)}
    machines = _Machines(server, executor, commands)
    _start_cache(executor)
    plan.progress("copying the store to a disk of the executor")
    machines.mount(_OURS)
    paths = [*nix.closure(workstation, compiler), headers.FOLDER]
    executor.sh(
        f"mkdir /local; mount {executor.device('store')} /local; mkdir /local/store;"
        f" cp -a {' '.join(paths)} /local/store/",
        timeout=600,
    )
    return machines


def _start_cache(executor: KernelHost) -> None:
    """FS-Cache, on a disk of its own."""
    limits = "brun 10%\nbcull 7%\nbstop 3%\nfrun 10%\nfcull 7%\nfstop 3%\n"
    executor.write("/etc/cachefilesd.conf", f"dir /cache\ntag nix\n{limits}")
    executor.sh(
        f"mkdir /cache; mount {executor.device('cache')} /cache; modprobe cachefiles; cachefilesd"
    )


def _prepare_example(executor: Host, compiler: str) -> str:
    """The command that compiles and links the C example, and runs the program."""
    for name in ("greet.cc", "greeting.c", "greeting.h"):
        executor.write(f"/tmp/cc/{name}", (REPOSITORY / "examples" / "cc" / name).read_text())
    return (
        f"cd /tmp/cc && {compiler}/bin/g++ -O1 -c greet.cc -o greet.o"
        f" && {compiler}/bin/gcc -O1 -c greeting.c -o greeting.o"
        f" && {compiler}/bin/g++ greet.o greeting.o -o greet && ./greet"
    )
