"""The durable roots that exist on the server: listing them, removing some.

Done by small shell scripts, because no Nix protocol tells when a root was
last used. They need nothing but `find`, `stat` and `mv`.
"""

from __future__ import annotations

from typing import Final, Optional, Sequence

from nix_remote.errors import RootsUnreadable
from nix_remote.remote.gc_roots import FOLDER, Root, Roots
from nix_remote.remote.programs import Programs
from nix_remote.text import decimal
from nix_remote.wire.types import STORE_DIRECTORY, parse_store_path

# One line each, and no single quotes: every login shell, csh and fish as well, hands them on
# as they are.
LIST_COMMAND: Final = (
    "sh",
    "-c",
    f'date +%s; cd "$HOME/{FOLDER}" 2>/dev/null || exit 0;'
    ' find . -type l -exec stat -c "%Y %n" {} +',
)

# A root that was renewed since it was listed must stay. One look is not enough, because
# it may be renewed right after it. So the root is moved out of the way then and looked at
# again: that is exactly what is removed.
REMOVE_COMMAND: Final = (
    "sh",
    "-c",
    f'cd "$HOME/{FOLDER}" || exit 1;'
    " while read -r used link; do"
    ' [ "$(stat -c %Y "$link" 2>/dev/null)" = "$used" ] || continue;'
    ' mv "$link" "$link.leaving" 2>/dev/null || continue;'
    ' if [ "$(stat -c %Y "$link.leaving")" = "$used" ];'
    ' then rm "$link.leaving" && echo "$link";'
    ' else mv -n "$link.leaving" "$link"; rm -f "$link.leaving"; fi;'
    " done;"
    " find . -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true",
)


def list_roots(programs: Programs, alias: str) -> Roots:
    """All durable roots of this account. Raises `RootsUnreadable`."""
    done = programs.run(LIST_COMMAND, waiting_for="the list of roots")
    lines = done.stdout.splitlines()
    now = decimal(lines[0]) if lines else None
    if done.status != 0 or now is None:
        raise RootsUnreadable(alias, done.stderr or done.stdout.strip())
    found = [root for line in lines[1:] if (root := _parse(line)) is not None]
    return Roots(now, tuple(sorted(found, key=lambda root: root.location)))


def _parse(line: str) -> Optional[Root]:
    """A line of the list; None for a link that is not one of ours."""
    number, _, link = line.partition(" ")
    used = decimal(number)
    parts = link.split("/")
    if len(parts) != 4 or parts[0] != "." or used is None:
        return None
    try:
        path = parse_store_path(f"{STORE_DIRECTORY}/{parts[3]}")
    except ValueError:
        return None
    return Root(parts[1], parts[2], path, used)


def remove_roots(programs: Programs, alias: str, roots: Sequence[Root]) -> tuple[Root, ...]:
    """Removes roots that have not been used since they were listed; returns those removed.

    Raises `RootsUnreadable`.
    """
    wanted = "".join(f"{root.last_used} {root.location}\n" for root in roots)
    done = programs.run(REMOVE_COMMAND, stdin=wanted.encode(), waiting_for="roots to be removed")
    if done.status != 0:
        raise RootsUnreadable(alias, done.stderr or done.stdout.strip())
    removed = set(done.stdout.splitlines())
    return tuple(root for root in roots if root.location in removed)
