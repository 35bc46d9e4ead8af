"""The two hosts of a benchmark, and resetting their state before every run."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from lab import nix, sshd
from lab.commands import check
from lab.host import Host, wait_until
from lab.lab import Lab, alias

_TIMED = "/opt/timed.py"
_STREAM = "/dev/shm/stream"
_RECORDER = "/usr/local/bin/recorder"
_STORE_SIZE = "10g"

NIX_COPY = (
    *("nix", "copy", "--extra-experimental-features", "nix-command"),
    "--no-check-sigs",
)
"""Without checks of signatures, as nix_remote does with a trusted account."""

LONGEST_RUN = 900.0
"""Seconds. A run that takes longer is a failure of the benchmark."""

# Nix's own state, except the daemon's socket.
_STATE = "find /nix/var/nix -mindepth 1 -maxdepth 1 ! -name daemon-socket"
_SAVE = f"""
rm -rf /nix/initial
mkdir -m 700 /nix/initial
mkdir /nix/initial/store /nix/initial/state
cp -a /nix/store/. /nix/initial/store/
{_STATE} -exec cp -a -t /nix/initial/state {{}} +
"""
_RESET = f"""
find /nix/store -mindepth 1 -maxdepth 1 -exec rm -rf {{}} +
{_STATE} -exec rm -rf {{}} +
cp -a /nix/initial/store/. /nix/store/
cp -a /nix/initial/state/. /nix/var/nix/
rm -rf /home/*/.local/state/nix-remote
"""


# As the image starts `nix-remote`, but with another package.
_EARLIER_MAIN = "import sys\nfrom nix_remote.cli.main import main\nsys.exit(main())\n"
_EARLIER_PROGRAM = """#!/bin/sh
exec /opt/nix-remote/bin/python -I -X pycache_prefix=/var/cache/earlier /opt/earlier "$@"
"""


@dataclass(frozen=True)
class Measurement:
    """The measurements of one run, on its host."""

    seconds: float
    cpu_seconds: float
    """Of that host's processes only."""
    peak_rss_mb: float
    """Of the largest process."""
    wire_bytes: int


class Rig:
    """A workstation, and a Nix server whose store is in memory."""

    def __init__(self, lab: Lab) -> None:
        self.workstation = lab.workstation_with(nix.Version.CURRENT)
        self.server = lab.start_server("bench-server", nix.Version.CURRENT, store_size=_STORE_SIZE)
        self.alias = alias(self.server)
        for host in (self.workstation, self.server):
            host.write(_TIMED, Path(__file__).with_name("timed.py").read_text())

    @property
    def ssh_server(self) -> sshd.SshServer:
        return sshd.SshServer(self.server)

    def run(self, host: Host, argv: Sequence[str]) -> Measurement:
        """Runs a command that must succeed."""
        done = host.run(["python3", _TIMED, *argv], timeout=LONGEST_RUN).check()
        return Measurement(**json.loads(done.stdout))

    def install_earlier(self, checkout: Path) -> None:
        """Makes another checkout of nix_remote the program `nix-remote-earlier`."""
        self.workstation.put(checkout / "nix_remote", "/opt/earlier/nix_remote")
        self.workstation.write("/opt/earlier/__main__.py", _EARLIER_MAIN)
        self.workstation.write("/usr/local/bin/nix-remote-earlier", _EARLIER_PROGRAM, mode="755")

    def send(self, paths: Sequence[str]) -> None:
        """Copies paths and their closures to the server, with Nix's own tools."""
        self.workstation.run(
            [*NIX_COPY, "--to", f"ssh-ng://{self.alias}", *paths], timeout=LONGEST_RUN
        ).check()

    def save(self) -> None:
        """Makes the present state of the server the start of every run."""
        self._wait_until_idle()
        self.server.sh(_SAVE)
        # Otherwise, writing the content back to disk would disturb the first runs.
        self.workstation.run(["sync"], timeout=300).check()

    def reset(self) -> None:
        """Restores the saved state."""
        self._wait_until_idle()
        self.server.sh(_RESET, timeout=120)

    def _wait_until_idle(self) -> None:
        sessions = "nix-[d]aemon --stdio|nix-[s]tore --serve"
        busy = f"pgrep -f '{sessions}' || pgrep -P $(cat /run/nix-daemon.pid)"
        wait_until(
            lambda: self.server.run(["bash", "-c", busy]).stdout == "",
            "the server to be idle",
            timeout=60,
        )

    @contextmanager
    def stream(self, path: str) -> Iterator[str]:
        """The bytes that Nix's own `ssh://` sends for a copy of `path`, in a file on both hosts.

        Recorded from a real copy. Where a host keeps it, zeros take no room.
        """
        self.server.write(
            _RECORDER,
            "#!/bin/bash\n"
            f"exec 3> >(exec dd of={_STREAM} bs=64k iflag=fullblock conv=sparse status=none)\n"
            'writer=$!\ntee /dev/fd/3 | nix-store "$@"\nexec 3>&-\nwait $writer\n',
            mode="755",
        )
        destination = f"ssh://{self.alias}?remote-program={_RECORDER}"
        self.workstation.run([*NIX_COPY, "--to", destination, path], timeout=LONGEST_RUN).check()
        self._wait_until_idle()
        here, there = (
            Path(f"/proc/{host.first_process}/root{_STREAM}")
            for host in (self.workstation, self.server)
        )
        check(["cp", "--sparse=always", there, here], timeout=300)
        try:
            yield _STREAM
        finally:
            here.unlink()
            there.unlink()
