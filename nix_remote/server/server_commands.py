"""Every command that runs on the server besides the programs of the two Nix protocols.

`setup server` builds the commands in `DISPATCHED` into the dispatcher: an account that is
restricted to the dispatcher may run exactly these commands.

Does not belong here: parsing the output of a command (the module that runs it).
"""

from __future__ import annotations

from typing import Final, Mapping

from nix_remote.server.disk_check import DISK_COMMAND
from nix_remote.server.gc_roots.counted import COUNT_COMMAND
from nix_remote.server.gc_roots.home import HOME_COMMAND
from nix_remote.server.gc_roots.scripts import LIST_COMMAND, REMOVE_COMMAND
from nix_remote.server.nix_commands import FIND_ROOTS
from nix_remote.server.verify import PRESENT_COMMAND

VERSION_COMMAND: Final = ("nix-store", "--version")
"""Prints which implementation of Nix the server has. The dispatcher allows this plain command."""

# One line without single quotes: every login shell passes it on unchanged. The files that it reads
# are not secret, so the dispatcher allows it (setup/dispatcher.sh).
EXPORTS_COMMAND: Final = (
    "sh",
    "-c",
    "for file in /etc/exports /etc/exports.d/*.exports; do"
    ' [ -r "$file" ] && sed "s|^|export |" "$file"; done;'
    " for file in /proc/net/tcp /proc/net/tcp6; do"
    " while read -r _ at _ state _; do"
    ' [ "$state" = 0A ] && echo "listen ${at##*:}"; done <"$file"; done;'
    " while read -r _ _ _ root at _; do"
    ' [ "$at" = /nix/store ] && echo "mounted $root"; done </proc/self/mountinfo;'
    ' echo "threads $(cat /proc/fs/nfsd/threads 2>/dev/null)";'
    ' echo "lease $(cat /proc/fs/nfsd/nfsv4leasetime 2>/dev/null)";'
    ' echo "timer $(systemctl is-enabled nix-remote-collect.timer 2>/dev/null)"',
)

DISPATCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "LIST": LIST_COMMAND,
    "REMOVE": REMOVE_COMMAND,
    "DISKS": DISK_COMMAND,
    "PRESENT": PRESENT_COMMAND,
    "EXPORTS": EXPORTS_COMMAND,
    "HOME": HOME_COMMAND,
    "FIND_ROOTS": FIND_ROOTS,
    "COUNT_ROOTS": COUNT_COMMAND,
}
"""By the marks in `setup/dispatcher.sh` (such as `@LIST@`) that the commands replace."""
