"""Which of the account's durable roots the server's collector counts.

A link that looks like a root keeps nothing if Nix does not know of it: its registration can be
lost, the home folder can have moved, and the daemon may not be able to read the link. So Nix on
the server is asked for its roots. Removing and making roots does not belong here.
"""

from __future__ import annotations

from typing import Final, Iterable, Optional

from nix_remote.server.gc_roots.names import SET_ROOT_FOLDERS, Root
from nix_remote.server.nix_commands import PRINT_ROOTS
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.text import decimal

_MOST: Final = 50_000_000
"""Lines. Not all are roots that copies have made, but those that are not are mostly left out."""

# The folders for roots, as they are named and where they are; then those of the store's roots
# that can be in one of them; then "end", without which Nix has not printed all it has. Like the
# programs of `root_scripts`, one line without single quotes.
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
    """Those of the roots that the collector does not count.

    None if the account may not ask.
    """
    answer = _Answer(roots)
    done = remote_exec.run_lines(
        COUNT_COMMAND, answer.take, at_most=_MOST, waiting_for="the server's list of roots"
    )
    if done.status != 0 or answer.last_line != "end":
        return None
    return frozenset(answer.unseen.values())


class _Answer:
    """What has been printed so far."""

    def __init__(self, roots: Iterable[Root]) -> None:
        self.unseen = {(root.place, root.location, str(root.path)): root for root in roots}
        self.last_line = ""
        self._places: dict[str, int] = {}

    def take(self, line: str) -> None:
        self.last_line = line
        if line.startswith("place "):
            number, _, place = line[len("place ") :].partition(" ")
            found = decimal(number)
            if found is not None:
                self._places[place] = found
            return
        link, _, path = line.rpartition(" -> ")
        # Nix 2.34 prints the link in quotes.
        place, *names = link.strip('"').rsplit("/", 3)
        if place in self._places:
            self.unseen.pop((self._places[place], "/".join(names), path), None)
