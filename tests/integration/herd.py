"""Many copiers at a time, started as Bazel starts them; and the agent they share."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Sequence

from lab.commands import Outcome
from lab.host import Host, wait_until
from lab.lab import ALIAS, WORKSPACE

PROGRAM = "/usr/local/lib/nix-remote/copier.py"
LAUNCHER = "/usr/local/bin/nix-remote-fetch"
FOLDER = "/tmp/nix-remote-0"
_SOURCES = "/src/nix_remote"

_PROGRAM_TEXT = f"""\
import sys
sys.path.insert(0, {_SOURCES!r})
from nix_remote.cli.main import main
sys.exit(main())
"""

# As bzl/private/python.bzl writes it.
_LAUNCHER_TEXT = f"""\
#!/bin/sh
exec /opt/nix-remote/bin/python -I -S -X pycache_prefix=/var/cache/nix-remote -c \
  'import sys; sys.path.insert(0, "{_SOURCES}/nix_remote/agent"); import thin_client; \
sys.exit(thin_client.main())' {PROGRAM} "$@"
"""


@dataclass(frozen=True)
class Herd:
    """Copiers on a workstation."""

    host: Host

    def install(self) -> None:
        self.host.write(PROGRAM, _PROGRAM_TEXT)
        self.host.write(LAUNCHER, _LAUNCHER_TEXT, mode="755")

    def command(self, *words: str, alias: str = ALIAS, package: Optional[str] = None) -> list[str]:
        named = [f"--package={package}"] if package else []
        return [LAUNCHER, "copy", f"--workspace={WORKSPACE}", f"--host={alias}", *named, *words]

    def copy(
        self,
        *words: str,
        alias: str = ALIAS,
        package: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        timeout: float = 60,
    ) -> Outcome:
        """Runs one copier and waits for it."""
        command = self.command(*words, alias=alias, package=package)
        return self.host.run(command, env=env, timeout=timeout)

    def start(self, *words: str, package: Optional[str] = None) -> subprocess.Popen[bytes]:
        """Starts one copier; the caller reads both streams."""
        return self.host.popen(
            self.command(*words, package=package), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def copy_all(
        self, tops: Sequence[str], *words: str, alias: str = ALIAS
    ) -> list[dict[str, Any]]:
        """A copier for each path, all at once; all must succeed. Returns their data."""
        running = [
            self.host.popen(
                self.command("--json", *words, top, alias=alias, package=f"package-{number}"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for number, top in enumerate(tops)
        ]
        found = []
        for process in running:
            output, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors.decode()
            found.append(json.loads(output)["data"])
        return found

    def agent(self, action: str, *words: str) -> Outcome:
        return self.host.run(["nix-remote", "agent", action, *words])

    def told(self) -> Optional[dict[str, Any]]:
        """The agent's status; None if there is no agent."""
        envelope = json.loads(
            self.host.run(["nix-remote", "agent", "--json", "status"]).check().stdout
        )
        agent: Optional[dict[str, Any]] = envelope["data"]["agent"]
        return agent

    @contextmanager
    def agent_running(self, *words: str) -> Iterator[int]:
        """An agent, in a `with` block; its process id."""
        self.agent("stop").check()
        self.agent("start", *words).check()
        told = self.told()
        assert told is not None
        try:
            yield told["pid"]
        finally:
            self.agent("stop").check()
            assert self.told() is None

    def packets(self) -> int:
        """How many packets the workstation has sent so far, late acknowledgements included."""
        counts = [-1]

        def nothing_more() -> bool:
            counts.append(self._packets())
            return counts[-1] == counts[-2]

        # On Linux, TCP may delay an acknowledgement for up to 0.2 s.
        wait_until(nothing_more, "the workstation's network to be quiet", interval=0.3)
        return counts[-1]

    def _packets(self) -> int:
        lines = self.host.read("/proc/net/dev").splitlines()
        (line,) = [line for line in lines[2:] if not line.strip().startswith("lo:")]
        return int(line.split(":")[1].split()[9])
