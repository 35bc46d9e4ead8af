"""The service manager of a host's user: a real `systemd --user`, as a login would start it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator

from lab.commands import Outcome
from lab.host import Host, wait_until

RUNTIME = "/run/user/0"
"""The value of `XDG_RUNTIME_DIR` in a session of root."""

_SERVICE = "user-manager"

# It requires its own control groups, and signs that systemd booted the host.
_START = """
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$1" /run/systemd/system
mkdir -p -m 700 "$XDG_RUNTIME_DIR"
echo $$ >"/sys/fs/cgroup/$1/cgroup.procs"
exec /usr/lib/systemd/systemd --user
"""
_REMOVE = """
find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} +
umount /sys/fs/cgroup
rm -r /run/systemd/system "$XDG_RUNTIME_DIR"
"""


@dataclass(frozen=True)
class UserManager:
    """root's service manager on a host."""

    host: Host

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs it, in a `with` block."""
        self.host.start_service(_SERVICE, self._script(_START))
        try:
            wait_until(
                lambda: self.systemctl("is-system-running").stdout.strip() == "running",
                "the user's service manager to run",
            )
            yield
        finally:
            # Stop all its services first: their control groups must be empty.
            self.systemctl("exit")
            process = self.host.read(f"/run/{_SERVICE}.pid").strip()
            wait_until(
                lambda: not self.host.has_process(process),
                "the user's service manager to end",
            )
            self.host.run(self._script(_REMOVE)).check()

    def systemctl(self, *words: str) -> Outcome:
        """`systemctl --user`."""
        command = ["env", f"XDG_RUNTIME_DIR={RUNTIME}", "systemctl", "--user", *words]
        return self.host.run(command)

    def property(self, unit: str, name: str) -> str:
        """Its properties of a unit."""
        shown = self.systemctl("show", unit, f"--property={name}", "--value")
        return shown.check().stdout.strip()

    def _script(self, text: str) -> list[str]:
        group = self.host.namespace
        environment = ["env", f"XDG_RUNTIME_DIR={RUNTIME}"]
        return [*environment, "bash", "-euc", text, "bash", group]
