"""Finds durable roots of the account that the server's collector does not count.

A link protects nothing if Nix does not know it: its registration can be lost, the home folder can
have moved, or the daemon cannot read the link. So we ask Nix on the server for its roots.

Does not belong here: making and removing roots.
"""

from __future__ import annotations

from typing import Final, Iterable, Optional

from nix_remote.server.gc_roots.names import SET_ROOT_FOLDERS, Root
from nix_remote.server.nix_commands import PRINT_ROOTS
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.text import decimal

_MOST: Final = 50_000_000
"""Lines. The command filters out most roots that no copy has made."""

# Prints the folders for roots, by name and by real path; then those of the store's roots that can
# be in one of them; then "end", without which the list is incomplete. Like the programs in
# `scripts.py`, it is one line without single quotes.
COUNT_COMMAND: Final = (
    "sh",
    "-c",
    'PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH;'
    f" {SET_ROOT_FOLDERS} number=0;"
    ' for place do number=$((number + 1)); echo "place $number $place";'
    ' [ ! -d "$place" ] || echo "place $number $(cd -P "$place" && pwd)"; done;'
    f" {{ {' '.join(PRINT_ROOTS)} && echo end; }} | grep -e nix-remote -e ^end",
)


def uncounted(remote_exec: RemoteExec, roots: Iterable[Root]) -> Optional[frozenset[Root]]:
    """The roots that the collector does not count; None if the account may not run the command."""
    answer = _Answer(roots)
    done = remote_exec.run_lines(
        COUNT_COMMAND, answer.take, at_most=_MOST, waiting_for="the server's list of roots"
    )
    if done.status != 0 or answer.last_line != "end":
        return None
    return frozenset(answer.unseen.values())


class _Answer:
    """Parses the output of `COUNT_COMMAND`, line by line."""

    def __init__(self, roots: Iterable[Root]) -> None:
        self.unseen = {(root.folder_number, root.location, str(root.path)): root for root in roots}
        self.last_line = ""
        self._folder_numbers: dict[str, int] = {}

    def take(self, line: str) -> None:
        self.last_line = line
        if line.startswith("place "):
            number, _, folder = line[len("place ") :].partition(" ")
            found = decimal(number)
            if found is not None:
                self._folder_numbers[folder] = found
            return
        link, _, path = line.rpartition(" -> ")
        # Nix 2.34 prints the link in quotes.
        folder, *names = link.strip('"').rsplit("/", 3)
        if folder in self._folder_numbers:
            self.unseen.pop((self._folder_numbers[folder], "/".join(names), path), None)
