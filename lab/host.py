"""One host of the lab: a root file system of its own and namespaces around it.

A host is an overlay (read-only image, writable part) with its own `/nix`,
processes, network and name. Starting one takes a fraction of a second. When
its first process dies, the kernel ends every process and mount of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Callable, Mapping, Optional, Sequence, Union

from lab import images
from lab.commands import Argument, LabError, Outcome, remove_tree, run
from lab.network import Switch, address

_INIT = Path(__file__).with_name("host_init.sh")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class HostPlan:
    """The configuration of a host. `number` determines its address (`network.address`)."""

    name: str
    number: int
    image: images.Image
    binds: Mapping[Path, str] = field(default_factory=dict)
    """Outer folder or file -> where the host sees it, read-only."""
    store_size: str = ""
    """With a size ("64m", "6g"), `/nix` is a tmpfs of that size, which vanishes when the host
    stops."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of every command, as a login sets them."""


class Host:
    """A host of a lab. `folder` is its place in the outer file system."""

    def __init__(self, plan: HostPlan, folder: Path, switch: Switch) -> None:
        self.plan = plan
        self.folder = folder
        self.switch = switch
        self.environment = dict(plan.environment)
        self._starter: Optional[subprocess.Popen[bytes]] = None

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def address(self) -> str:
        return address(self.plan.number)

    @property
    def store(self) -> Path:
        """The host's `/nix/store`, seen from outside."""
        if self.plan.store_size:
            return Path(f"/proc/{self.first_process}/root/nix/store")
        return self.folder / "nix" / "store"

    @property
    def namespace(self) -> str:
        """The network namespace this host lives in."""
        return f"{self.switch.lab}-{self.name}"

    def start(self, addresses: Mapping[str, str], shared_store: Optional[Path] = None) -> None:
        """Starts the host; returns when commands can run in it.

        `addresses` (name -> address) become its `/etc/hosts`. With
        `shared_store`, its `/nix/store` is that folder, read-only.
        """
        for name in ("upper", "work", "root", "nix/store", "nix/var"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "nix" / "store").chmod(0o1775)
        hosts_file = self.folder / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{ip} {name}" for name, ip in addresses.items())]
        hosts_file.write_text("\n".join(lines) + "\n")
        lower = ":".join(str(path) for path in images.lower_directories(self.plan.image))
        env = {
            "PATH": _PATH,
            "LOWER": lower,
            "UPPER": str(self.folder / "upper"),
            "WORK": str(self.folder / "work"),
            "ROOT": str(self.folder / "root"),
            "STORE": str(self.folder / "nix"),
            "STORE_SIZE": self.plan.store_size,
            "SHARED_STORE": str(shared_store or ""),
            "BINDS": "\n".join(f"{source} {to}" for source, to in self.plan.binds.items()),
            "NAME": self.name,
            "HOSTS_FILE": str(hosts_file),
        }
        self.switch.plug_in(self.name, self.plan.number)
        with open(self.folder / "log", "wb") as log:
            starter = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.namespace),
                    *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"),
                    *("--propagation", "private", "bash", str(_INIT)),
                ],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        first = self._wait_for_first_process(starter)
        (self.folder / "pid").write_text(f"{first}\n")
        self._starter = starter

    def _wait_for_first_process(self, starter: subprocess.Popen[bytes]) -> int:
        deadline = time.monotonic() + 30
        children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
        while time.monotonic() < deadline:
            if starter.poll() is not None:
                break
            for pid in children.read_text().split():
                if Path(f"/proc/{pid}/root/run/host-is-up").exists():
                    return int(pid)
            time.sleep(0.02)
        starter.kill()
        starter.wait()
        raise LabError(f"host {self.name} did not start\n{(self.folder / 'log').read_text()}")

    @property
    def first_process(self) -> Optional[int]:
        """The outer process id of the host's first process, or None if the host is down."""
        return _first_process(self.folder)

    def enter(self, argv: Sequence[Argument], env: Mapping[str, str]) -> list[str]:
        """The outer command that runs `argv` inside, with exactly this environment."""
        pid = self.first_process
        if pid is None:
            raise LabError(f"host {self.name} is not up")
        settings = {"HOME": "/root", "PATH": _PATH, "LANG": "C.UTF-8", "TERM": "dumb"}
        settings |= {**self.environment, **env}
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        return (
            ["nsenter", "--target", str(pid), *namespaces, "/usr/bin/env", "-i"]
            + [f"{name}={value}" for name, value in settings.items()]
            + [str(word) for word in argv]
        )

    def run(
        self,
        argv: Sequence[Argument],
        *,
        timeout: float = 60,
        stdin: Union[str, bytes] = b"",
        env: Optional[Mapping[str, str]] = None,
        user: Optional[str] = None,
    ) -> Outcome:
        """Runs a command inside and waits for it. After `timeout` seconds, kills it."""
        bounded = ["timeout", "--kill-after=2", str(timeout), *argv]
        if user is not None:
            bounded = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *bounded]
        outcome = run(self.enter(bounded, env or {}), timeout=timeout + 10, stdin=stdin)
        if outcome.status in (124, 137):
            raise LabError(f"{self.name}: not finished after {timeout} s: {argv}\n{outcome.text}")
        return outcome

    def sh(self, script: str, *, timeout: float = 60, user: Optional[str] = None) -> str:
        """Runs a shell script that must succeed; returns its output."""
        done = self.run(["bash", "-euo", "pipefail", "-c", script], timeout=timeout, user=user)
        return done.check().stdout

    def popen(
        self,
        argv: Sequence[Argument],
        *,
        env: Optional[Mapping[str, str]] = None,
        stdout: Union[int, IO[bytes]] = subprocess.DEVNULL,
        stderr: Union[int, IO[bytes]] = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Starts a command inside and returns at once."""
        return subprocess.Popen(
            self.enter(argv, env or {}), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )

    def start_service(self, name: str, argv: Sequence[Argument], *, user: str = "root") -> None:
        """Starts a program that runs as long as the host; it logs to `/var/log/NAME.log`.

        Only one of each name at a time: of two, a test would stop only the second.
        """
        known = self.run(["cat", f"/run/{name}.pid"])
        if known.status == 0 and self.has_process(known.stdout.strip()):
            raise LabError(f"the service {name} on {self.name} is running already")
        switch = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}"]
        switch += [] if user == "root" else ["--init-groups"]
        script = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'
        log = f"/var/log/{name}.log"
        started = self.run(["bash", "-c", script, "bash", log, *switch, *argv]).check()
        self.write(f"/run/{name}.pid", started.stdout)

    def stop_service(self, name: str, *, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends a service started with `start_service` and waits until it is gone."""
        pid = self.read(f"/run/{name}.pid").strip()
        self.run(["kill", f"-{how.name[3:]}", pid])
        wait_until(lambda: not self.has_process(pid), f"{name} on {self.name} to end")

    def has_process(self, pid: Union[int, str]) -> bool:
        """Whether a process lives, by its number on this host."""
        return self.run(["kill", "-0", str(pid)]).status == 0

    def log(self, name: str) -> str:
        """The log of a service so far."""
        return self.read(f"/var/log/{name}.log")

    def read(self, path: str) -> str:
        return self.run(["cat", path]).check().stdout

    def write(self, path: str, text: str, *, mode: str = "644") -> None:
        """Writes a file inside; creates missing parent folders."""
        script = 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"'
        self.run(["bash", "-euc", script, "bash", path, mode], stdin=text).check()

    def put(self, source: Path, target: str) -> None:
        """Copies an outer folder's content into a folder of the host."""
        packed = subprocess.run(
            ["tar", "-C", str(source), "-cf", "-", "."], stdout=subprocess.PIPE, check=True
        ).stdout
        unpack = 'mkdir -p "$1"; tar -C "$1" -xf - --no-same-owner'
        self.run(["bash", "-euc", unpack, "bash", target], stdin=packed).check()

    def stop(self) -> None:
        """Ends every process of the host. Safe to repeat."""
        end_host(self.folder)
        if self._starter is not None:
            self._starter.wait(timeout=10)
            self._starter = None

    def remove(self) -> None:
        """Deletes everything the host wrote."""
        self.stop()
        # Store paths are read-only folders, in which root can delete nevertheless.
        remove_tree(self.folder)


def _first_process(folder: Path) -> Optional[int]:
    try:
        pid = int((folder / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    # The kernel may have reused the process id, for a process with another root.
    return pid if Path(f"/proc/{pid}/root/run/host-is-up").exists() else None


def end_host(folder: Path) -> None:
    """Ends every process of the host in that folder, also those of other runs. Safe to repeat."""
    pid = _first_process(folder)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: _first_process(folder) is None, f"the host in {folder} to stop")
    (folder / "pid").unlink(missing_ok=True)


def wait_until(
    condition: Callable[[], bool], what: str, *, timeout: float = 30, interval: float = 0.05
) -> None:
    """Polls until `condition()` holds; raises `LabError` naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout} s for {what}")
        time.sleep(interval)
