"""Retention on the server: the program that removes old roots and collects garbage, and its timer.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final

from nix_remote.errors import SetupInputUnusable
from nix_remote.server.gc_roots.scripts import LIST_COMMAND, REMOVE_COMMAND
from nix_remote.setup import inputs
from nix_remote.setup.account import home
from nix_remote.setup.bundle import File

COLLECT_PATH: Final = "/usr/local/bin/nix-remote-collect"
UNIT: Final = "nix-remote-collect"


@dataclass(frozen=True)
class Policy:
    """When durable roots are removed."""

    keep: int = 30 * 86400
    """Seconds. Roots used within that time are removed only if the disk is too full."""
    grace: int = 86400
    """Seconds. Roots used within that time are never removed: longer than any build takes."""
    room: int = 20 * 2**30
    """The free space that the store's disk should have, in bytes."""


def program(account: str, policy: Policy) -> str:
    """The program that removes roots and collects garbage: `collect.sh` with its marks replaced.

    Raises `SetupInputUnusable`.
    """
    if policy.keep < policy.grace:
        raise SetupInputUnusable("--keep-roots", f"at least the grace time ({policy.grace} s)")
    template = resources.files("nix_remote.setup").joinpath("collect.sh").read_text()
    marks = {
        "@ACCOUNT@": inputs.account(account),
        "@HOME@": home(account),
        "@KEEP@": str(inputs.at_least(0, policy.keep, "--keep-roots")),
        "@GRACE@": str(inputs.at_least(0, policy.grace, "--grace")),
        "@ROOM@": str(inputs.at_least(0, policy.room, "--room") // 1024),
        "@LIST@": LIST_COMMAND[2],
        "@REMOVE@": REMOVE_COMMAND[2],
    }
    for mark, value in marks.items():
        template = template.replace(mark, value)
    return template


def files(account: str, policy: Policy) -> tuple[File, ...]:
    """The program, and a service and a timer for systemd."""
    units = f"/etc/systemd/system/{UNIT}"
    return (
        File(COLLECT_PATH, program(account, policy), 0o755),
        File(f"{units}.service", _SERVICE.format(program=COLLECT_PATH, account=account)),
        File(f"{units}.timer", _TIMER),
    )


_SERVICE: Final = """\
# The timer of the same name starts it. For a description see the top of {program}.
[Unit]
Description=Remove durable roots of nix-remote that nobody uses, and collect garbage
After=nix-daemon.service

[Service]
Type=oneshot
ExecStart={program}
# The owner of the roots. Every account may collect garbage, so no other rights are needed.
User={account}
# Copies and builds have priority.
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=true
"""

_TIMER: Final = """\
# Once a day. To see what it would remove: sudo -u ACCOUNT nix-remote-collect --dry-run
[Unit]
Description=Keep the Nix server from filling up

[Timer]
OnCalendar=daily
# Not in the same minute on every server; after boot, if the machine was off.
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
"""
