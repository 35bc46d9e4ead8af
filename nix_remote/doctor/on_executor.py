"""Checks how this machine sees the Nix store. Run it on an executor.

    python3 on_executor.py [--json] [--settle SECONDS] [PATH...]

It is one file that needs only Python's standard library: `nix-remote doctor --on-executor` prints
it. PATHs are store paths that actions need. Exits with status 1 if a check fails. It changes
nothing. Every wait has a bound, because access to the files of an unavailable server hangs.
"""

import argparse
import errno
import glob
import json
import os
import sys
import threading
from typing import Callable, Dict, List, NamedTuple, Optional, TypeVar

STORE = "/nix/store"
SENTINEL = "/nix/store/.links"
TIMEOUT = 5.0
"""Seconds for the server to answer."""

SETTLE = 1.0
"""Seconds after which executors see a new path: copies end no earlier."""

MARKS = {"ok": "\u2713", "warning": "!", "broken": "\u2717", "unknown": "-"}
SET_UP = "nix-remote setup executor --server SERVER | ssh root@THIS-MACHINE sh"
MOUNT_AGAIN = "umount --lazy /nix/store; mount /nix/store"

T = TypeVar("T")


class Finding(NamedTuple):
    """The result of one check."""

    layer: str
    subject: str
    status: str
    text: str
    fix: str = ""


class Mount(NamedTuple):
    """A mount on the store's folder."""

    kind: str
    source: str
    options: Dict[str, str]
    """Options of the mount and of its file system: name to value, which may be empty."""


def mount_of(folder: str, mountinfo: str) -> Optional[Mount]:
    """The mount on `folder` in `/proc/self/mountinfo`; of several, the last one is visible."""
    found = None
    for line in mountinfo.splitlines():
        words = line.split(" ")
        if len(words) < 10 or words[4] != folder or "-" not in words:
            continue
        kind, source, more = words[words.index("-") + 1 :][:3]
        pairs = [each.partition("=") for each in (words[5] + "," + more).split(",")]
        options = {name: value for name, _, value in pairs}
        # It suffices that the mount or its file system is read-only.
        if "ro" in options:
            options.pop("rw", None)
        found = Mount(kind, source, options)
    return found


def judge_mount(mount: Optional[Mount], settle: float) -> List[Finding]:
    """The findings about the mount. `settle` as `SETTLE`."""
    if mount is None:
        return [Finding("mount", "store", "broken", "nothing is mounted on " + STORE, SET_UP)]
    where = f"{mount.source} ({mount.kind})"
    found = [Finding("mount", "store", "ok", where)]
    if "rw" in mount.options:
        text = "this machine can write to the store"
        found.append(Finding("mount", "read-only", "broken", text, "mount it with ro: " + SET_UP))
    else:
        found.append(Finding("mount", "read-only", "ok", "ro"))
    if not mount.kind.startswith("nfs"):
        text = "not an NFS mount: its options are not known"
        return [*found, Finding("mount", "new paths", "unknown", text)]
    return [*found, _new_paths(mount.options, settle), _hard_or_soft(mount.options)]


def judge_cache(mount: Optional[Mount], processes: List[str]) -> List[Finding]:
    """The finding about FS-Cache; none for a mount that does not ask for it."""
    if mount is None or "fsc" not in mount.options:
        return []
    if "cachefilesd" in processes:
        return [Finding("mount", "cache", "ok", "cachefilesd keeps what was read")]
    text = "the mount asks for a cache (fsc), but cachefilesd does not run: nothing is kept"
    fix = SET_UP.replace(" | ", " --cache SIZE | ")
    return [Finding("mount", "cache", "warning", text, fix)]


def running_programs() -> List[str]:
    """The names of the programs that run."""
    names = []
    for place in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(place, errors="replace") as file:
                names.append(file.read().strip())
        except OSError:
            pass  # it has ended meanwhile
    return names


def _new_paths(options: Dict[str, str], settle: float) -> Finding:
    cache = options.get("lookupcache", "all")
    if cache.startswith("pos") or cache == "none" or "noac" in options:
        text = "visible at once, at the price of a call to the server for each absent name"
        return Finding("mount", "new paths", "ok", text)
    longest = options.get("acdirmax", "60")
    remount = f"acdirmin=1,acdirmax=1: {SET_UP}\n(unmount all mounts of that server first)"
    if options.get("vers", "4").startswith("3"):
        text = "NFS 3: a path opened before it was copied can stay invisible for ever"
        return Finding("mount", "new paths", "broken", text, f"nfsvers=4.2,{remount}")
    if _is_decimal(longest) and int(longest) <= settle:
        text = f"visible after {longest} s at most; a copy waits {settle:g} s"
        return Finding("mount", "new paths", "ok", text)
    text = f"a path opened before it was copied stays invisible up to {longest} s;"
    text += f" a copy waits only {settle:g} s"
    fix = f"{remount}\nor, on the workstation: NIX_REMOTE_SETTLE={longest}"
    return Finding("mount", "new paths", "broken", text, fix)


def _is_decimal(text: str) -> bool:
    """Whether it is a number as the kernel prints it: `isdigit` alone accepts `²` as well."""
    return text.isascii() and text.isdigit() and len(text) < 10


def _hard_or_soft(options: Dict[str, str]) -> Finding:
    if "soft" in options or "softerr" in options:
        text = "soft: if the server is slow, reads fail in the middle of actions"
        return Finding("mount", "patience", "warning", text, "hard: " + SET_UP)
    return Finding("mount", "patience", "ok", "hard: reads wait for an unavailable server")


def bounded(check: Callable[[], T], seconds: float = TIMEOUT) -> T:
    """The result of a check that may hang. Raises `TimeoutError`, and errors of the check."""
    outcome = []  # type: List[Callable[[], T]]

    def run() -> None:
        try:
            value = check()
        except OSError as error:
            failure = error

            def fail() -> T:
                raise failure

            outcome.append(fail)
        else:
            outcome.append(lambda: value)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return outcome[0]()


def check_store() -> List[Finding]:
    """Whether the folder is a Nix store, and the server answers."""
    try:
        bounded(lambda: os.stat(SENTINEL))
        names = bounded(_a_few_names)
    except TimeoutError as error:
        fix = "check the server and port 2049; actions continue when the server is available again"
        return [Finding("store", "server", "broken", str(error), fix)]
    except PermissionError:
        fix = "on the server: chmod 1775 " + STORE
        return [Finding("store", "server", "broken", STORE + " cannot be read", fix)]
    except OSError as error:
        if error.errno == errno.ESTALE:
            text = f"{STORE} is of a server that has another file system now: {error.strerror}"
            return [Finding("store", "server", "broken", text, MOUNT_AGAIN)]
        text = f"{STORE} is not a Nix store: {SENTINEL}: {error.strerror}"
        return [Finding("store", "server", "broken", text, SET_UP)]
    text = "the server answers" + ("" if names else "; the store is empty")
    return [Finding("store", "server", "ok", text)]


def _a_few_names() -> List[str]:
    # Not all of them: a store has thousands.
    with os.scandir(STORE) as entries:
        return [entry.name for entry, _ in zip(entries, range(10))]


def check_paths(paths: List[str]) -> List[Finding]:
    """Whether actions can use the paths. Stops at the first path without an answer."""
    found = []
    for path in paths:
        try:
            found.append(check_path(path))
        except TimeoutError as error:
            fix = "check the server; this path and the following ones were not checked"
            return [*found, Finding("path", path, "broken", str(error), fix)]
    return found


def check_path(path: str) -> Finding:
    """Whether an action can use the path. Raises `TimeoutError`."""
    if not path.startswith(STORE + "/"):
        return Finding("path", path, "broken", "not below " + STORE, "give a store path")
    try:
        bounded(lambda: _read_a_little(path))
    except TimeoutError:
        raise
    except FileNotFoundError:
        fix = f"on the workstation: nix-remote copy {path}\n"
        fix += "if the server has it: the negative lookup cache of the mount; see `new paths`"
        return Finding("path", path, "broken", "not visible on this machine", fix)
    except PermissionError:
        fix = "on the server: nix-store --verify --check-contents --repair"
        return Finding("path", path, "broken", "not readable on this machine", fix)
    except OSError as error:
        text = error.strerror or str(error)
        return Finding("path", path, "broken", text, "check the server, and mount the store again")
    return Finding("path", path, "ok", "visible and readable")


def _read_a_little(path: str) -> None:
    """Reads the first byte of a file, or the first name in a folder. A link may be dangling."""
    os.lstat(path)
    if os.path.islink(path):
        os.readlink(path)
    elif os.path.isdir(path):
        with os.scandir(path) as entries:
            next(entries, None)
    else:
        with open(path, "rb") as file:
            file.read(1)


def examine(paths: List[str], settle: float) -> List[Finding]:
    """Runs every check that is possible."""
    with open("/proc/self/mountinfo", errors="replace") as file:
        mount = mount_of(STORE, file.read())
    found = judge_mount(mount, settle)
    if found[0].status == "broken":
        return found
    found += judge_cache(mount, running_programs())
    found += check_store()
    if found[-1].status == "broken":
        return found
    return found + check_paths(paths)


def main(words: List[str]) -> int:
    """Prints the findings; returns the exit status."""
    parser = argparse.ArgumentParser(description="Checks how this machine sees a Nix store.")
    parser.add_argument("--json", action="store_true", help="print a list of objects on one line")
    parser.add_argument(
        "--settle",
        type=float,
        default=SETTLE,
        metavar="SECONDS",
        help="NIX_REMOTE_SETTLE of copies",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="store paths that actions need")
    options = parser.parse_args(words)
    found = examine(options.paths, options.settle)
    if options.json:
        sys.stdout.write(json.dumps([each._asdict() for each in found]) + "\n")
    else:
        sys.stdout.buffer.write("".join(map(_shown, found)).encode())
    sys.stdout.flush()
    return 1 if any(each.status == "broken" for each in found) else 0


def _shown(finding: Finding) -> str:
    lines = ["{} {:<5}  {}: {}".format(MARKS[finding.status], *finding[:2], finding.text)]
    lines += ["           fix: " + line for line in finding.fix.splitlines()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    status = main(sys.argv[1:])
    # An ordinary exit would wait for a check that hangs.
    os._exit(status)
