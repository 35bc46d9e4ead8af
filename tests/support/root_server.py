"""A folder with roots, and programs that behave as on a Nix server, to test shell programs.

The shell programs are the real ones. `nix-store` is a stand-in that keeps valid paths and
registrations as files. Every other program that is started counts as a step; before a chosen
step, a copy can renew a root, a collector can run, or everything can be killed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, Optional, Sequence

from nix_remote.server.gc_roots.names import FOLDER
from nix_remote.store.paths import StorePath, base_name

PROGRAMS: Final = (
    *("cat", "comm", "cut", "date", "find", "flock", "grep", "join", "ln", "mkdir", "mktemp"),
    *("mv", "paste", "readlink", "rm", "rmdir", "sed", "sort", "uniq", "wc", "xargs"),
)

_LIBRARY: Final = r"""
PATH=/usr/bin:/bin
register() {
  ln -sfT "$1" "$STATE/auto/$(printf %s "$1" | md5sum | cut -c 1-32)"
}
add_root() { # STORE-PATH LINK, as Nix makes it: a new link beside, and a rename
  mkdir -p "${2%/*}"
  ln -s "$1" "${2%/*}/.0_root.$$"
  mv -fT "${2%/*}/.0_root.$$" "$2"
  register "$2"
}
scan() { # prints the paths that roots keep, and forgets roots that have gone, as collectors do
  for each in "$STATE"/auto/*; do
    link=$(readlink "$each") || continue
    if [ -L "$link" ]; then readlink "$link"; elif ! [ -e "$link" ]; then rm -f "$each"; fi
  done
}
collect() {
  scan >"$STATE/kept.$$"
  for path in "$STATE"/valid/*; do
    grep -qxF "/nix/store/${path##*/}" "$STATE/kept.$$" || rm -f "$path"
  done
}
"""

_NIX_STORE: Final = r"""#!/bin/sh
. "$STATE/library"
case "$1 $2" in
  "--gc --max-freed") scan >/dev/null; echo "0 store paths deleted, 0.00 MiB freed" >&2 ;;
  "--add "*) : >"$STATE/valid/$OWN"; echo "/nix/store/$OWN" ;;
  "--realise "*)
    shift; number=0; paths=
    while [ "$1" != --add-root ]; do paths="$paths $1"; shift; done
    for path in $paths; do
      [ -e "$STATE/valid/${path##*/}" ] || { echo "error: $path is not valid" >&2; exit 1; }
      number=$((number + 1)); link=$2
      [ $number = 1 ] || link=$2-$number
      add_root "$path" "$link"; echo "$link"
    done ;;
  "--restore "*) exec PYTHON -I "$STATE/restore.py" "$2" ;;
  *) echo "nix-store: $*" >&2; exit 1 ;;
esac
"""

# Unpacks a NAR whose root is a folder with links and nothing else, as Nix does.
_RESTORE: Final = r"""
import os, sys

def read(expected=None):
    length = int.from_bytes(sys.stdin.buffer.read(8), "little")
    text = sys.stdin.buffer.read(length)
    assert len(text) == length and sys.stdin.buffer.read(-length % 8) == bytes(-length % 8), text
    assert expected in (None, text.decode()), (expected, text)
    return text.decode()

for word in ("nix-archive-1", "(", "type", "directory"):
    read(word)
os.mkdir(sys.argv[1])
last = ""
while True:
    word = read()
    if word == ")":
        break
    assert word == "entry"
    read("("), read("name")
    name = read()
    assert name > last
    last = name
    for word in ("node", "(", "type", "symlink", "target"):
        read(word)
    os.symlink(read(), f"{sys.argv[1]}/{name}")
    read(")"), read(")")
"""

# An event takes place once, before the first step from its number on: those of a pipeline are
# counted at the same time.
_STEP: Final = r"""#!/bin/sh
echo >>"$STATE/steps"
step=$(/usr/bin/wc -l <"$STATE/steps")
for event in "$STATE"/events/*; do
  if [ "$step" -ge "${event##*/}" ] && /usr/bin/mkdir "$STATE/past/${event##*/}"; then
    . "$STATE/library"; . "$event"
  fi
done 2>/dev/null
if [ -e "$STATE/collecting" ]; then . "$STATE/library"; collect; fi
exec /usr/bin/PROGRAM "$@"
"""

OWN: Final = "0000000000000000000000000000000s-nix-remote-slot"


class RootServer:
    """A server in a folder."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.home = folder / "home folder"
        self.place = self.home / FOLDER
        for each in (self.state / "auto", self.state / "valid", self.place):
            each.mkdir(parents=True)
        (self.state / "library").write_text(_LIBRARY)
        self.programs = folder / "bin"
        self.programs.mkdir()
        self._program("nix-store", _NIX_STORE.replace("PYTHON", sys.executable))
        (self.state / "restore.py").write_text(_RESTORE)
        self._program("getent", f"#!/bin/sh\necho 'keeper:x:1:1::{self.home}:/bin/sh'\n")
        self._program("id", "#!/bin/sh\necho keeper-of-no-machine\n")
        for name in PROGRAMS:
            self._program(name, _STEP.replace("PROGRAM", name))
        self._environment = {
            "HOME": str(self.home),
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "STATE": str(self.state),
            "OWN": OWN,
        }

    def _program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def run(
        self,
        command: Sequence[str],
        stdin: str = "",
        events: Optional[dict[int, str]] = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a shell program. Before the step of an event its text is run, with `library`."""
        (self.state / "steps").write_text("")
        for folder in (self.state / "events", self.state / "past"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        for step, text in (events or {}).items():
            (self.state / "events" / str(step)).write_text(text)
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=60,
            start_new_session=True,
        )

    @property
    def steps(self) -> int:
        """How many steps the last run had."""
        return len((self.state / "steps").read_text())

    def link(self, path: StorePath, folder: str = "app-1a2b3c4d/package") -> Path:
        """Where a root is."""
        return self.place / folder / base_name(path)

    def do(self, text: str) -> None:
        """Runs text with the functions of `library`."""
        script = f'. "$STATE/library"; {text}'
        subprocess.run(["sh", "-c", script], check=True, env=self._environment, timeout=60)

    def copy(self, path: StorePath, *, age: int = 0, folder: str = "app-1a2b3c4d/package") -> None:
        """A finished copy: the path is valid, its root exists and is registered."""
        link = self.link(path, folder)
        self.do(f': >"$STATE/valid/{base_name(path)}"; add_root {path} "{link}"')
        if age:
            used = int(link.lstat().st_mtime) - age
            os.utime(link, (used, used), follow_symlinks=False)

    def renewal(self, path: StorePath) -> str:
        """The text of an event: a copy ends that has renewed the root of a path."""
        return f': >"$STATE/valid/{base_name(path)}"; add_root {path} "{self.link(path)}";'

    def is_valid(self, path: StorePath) -> bool:
        return (self.state / "valid" / base_name(path)).exists()

    def is_registered(self, link: Path) -> bool:
        digest = hashlib.md5(str(link).encode(), usedforsecurity=False).hexdigest()
        return (self.state / "auto" / digest).is_symlink()
