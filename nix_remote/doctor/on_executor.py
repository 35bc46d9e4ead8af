"""Looks at the Nix store as this machine sees it: run it on an executor.

    python3 on_executor.py [--json] [PATH...]

A file of its own that needs nothing but Python's standard library: `nix-remote doctor
--on-executor` prints it. PATHs are store paths that actions need. Ends with 1 if something is
broken. It changes nothing, and every wait has a bound: a server that is away hangs whoever
touches its files.
"""

import argparse
import json
import os
import sys
import threading
from typing import Callable, Dict, List, NamedTuple, Optional, TypeVar

STORE = "/nix/store"
SENTINEL = "/nix/store/.links"
PATIENCE = 5.0
"""Seconds for the server to answer."""

SHORT = 3
"""Seconds for which a new path may be invisible without harm, if so long at all."""

MARKS = {"ok": "\u2713", "warning": "!", "broken": "\u2717", "unknown": "-"}
SET_UP = "nix-remote setup executor --server SERVER | ssh root@THIS-MACHINE sh"

T = TypeVar("T")


class Finding(NamedTuple):
    """A look at one thing."""

    layer: str
    subject: str
    status: str
    text: str
    fix: str = ""


class Mount(NamedTuple):
    """What is mounted on the store."""

    kind: str
    source: str
    options: Dict[str, str]
    """Those of the mount and those of its file system: name to value, empty if it has none."""


def mount_of(folder: str, mountinfo: str) -> Optional[Mount]:
    """What is mounted there, by `/proc/self/mountinfo`: of several, the last is what is seen."""
    found = None
    for line in mountinfo.splitlines():
        words = line.split(" ")
        if len(words) < 10 or words[4] != folder or "-" not in words:
            continue
        kind, source, more = words[words.index("-") + 1 :][:3]
        pairs = [each.partition("=") for each in (words[5] + "," + more).split(",")]
        options = {name: value for name, _, value in pairs}
        # Of the mount and its file system, one that is read-only is enough.
        if "ro" in options:
            options.pop("rw", None)
        found = Mount(kind, source, options)
    return found


def judge_mount(mount: Optional[Mount]) -> List[Finding]:
    """What is wrong with it."""
    if mount is None:
        return [Finding("mount", "store", "broken", "nothing is mounted on " + STORE, SET_UP)]
    where = f"{mount.source} ({mount.kind})"
    found = [Finding("mount", "store", "ok", where)]
    if "rw" in mount.options:
        text = "it can be written from here"
        found.append(Finding("mount", "read-only", "broken", text, "mount it with ro: " + SET_UP))
    else:
        found.append(Finding("mount", "read-only", "ok", "ro"))
    if not mount.kind.startswith("nfs"):
        text = "no NFS mount: options are those of whoever mounted it"
        return [*found, Finding("mount", "new paths", "unknown", text)]
    return [*found, _new_paths(mount.options), _patience(mount.options)]


def _new_paths(options: Dict[str, str]) -> Finding:
    cache = options.get("lookupcache", "all")
    if cache.startswith("pos"):
        return Finding("mount", "new paths", "ok", "seen at once: lookupcache=positive")
    if cache == "none" or "noac" in options:
        return Finding("mount", "new paths", "ok", "seen at once, at a price: docs/nfs.md")
    longest = options.get("acdirmax", "60")
    if _is_decimal(longest) and int(longest) <= SHORT:
        return Finding("mount", "new paths", "ok", f"seen after {longest} s at most")
    text = "a path that was looked for before it was copied stays invisible for up to {} s"
    fix = f"lookupcache=positive: {SET_UP}\n(unmount all mounts of that server first)"
    return Finding("mount", "new paths", "broken", text.format(longest), fix)


def _is_decimal(text: str) -> bool:
    """Whether it is a number as a kernel prints it: `isdigit` alone is true of `²` as well."""
    return text.isascii() and text.isdigit() and len(text) < 10


def _patience(options: Dict[str, str]) -> Finding:
    if "soft" in options or "softerr" in options:
        text = "soft: a slow server looks like a broken file to compilers"
        return Finding("mount", "patience", "warning", text, "hard: " + SET_UP)
    return Finding("mount", "patience", "ok", "hard: a server that is away is waited for")


def bounded(look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The outcome of a look that may hang. Raises `TimeoutError`, and what it raises."""
    outcome = []  # type: List[Callable[[], T]]

    def take() -> None:
        try:
            value = look()
        except OSError as error:
            failure = error

            def fail() -> T:
                raise failure

            outcome.append(fail)
        else:
            outcome.append(lambda: value)

    looking = threading.Thread(target=take, daemon=True)
    looking.start()
    looking.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return outcome[0]()


def look_at_store() -> List[Finding]:
    """Whether it is a Nix store, and answers."""
    try:
        bounded(lambda: os.stat(SENTINEL))
        names = bounded(_a_few_names)
    except TimeoutError as error:
        fix = "look at the server and at port 2049 on the way to it; actions go on when it is back"
        return [Finding("store", "server", "broken", str(error), fix)]
    except PermissionError:
        fix = "on the server: chmod 1775 " + STORE
        return [Finding("store", "server", "broken", STORE + " cannot be read", fix)]
    except OSError as error:
        text = f"{STORE} is no Nix store: {SENTINEL}: {error.strerror}"
        return [Finding("store", "server", "broken", text, SET_UP)]
    text = "it answers" + ("" if names else ", and is empty so far")
    return [Finding("store", "server", "ok", text)]


def _a_few_names() -> List[str]:
    # Not all of them: a store has many thousands.
    with os.scandir(STORE) as entries:
        return [entry.name for entry, _ in zip(entries, range(10))]


def look_at_paths(paths: List[str]) -> List[Finding]:
    """Whether an action could use them. A server that stops answering is waited for once."""
    found = []
    for path in paths:
        try:
            found.append(look_at_path(path))
        except TimeoutError as error:
            fix = "look at the server; this and what comes after it was not looked at"
            return [*found, Finding("path", path, "broken", str(error), fix)]
    return found


def look_at_path(path: str) -> Finding:
    """Whether an action could use it. Raises `TimeoutError`."""
    if not path.startswith(STORE + "/"):
        return Finding("path", path, "broken", "it is not in " + STORE, "give a store path")
    try:
        bounded(lambda: _read_a_little(path))
    except TimeoutError:
        raise
    except FileNotFoundError:
        fix = f"on the workstation: nix-remote copy {path}\n"
        fix += "if the server has it: the mount remembers that it was absent; see `new paths`"
        return Finding("path", path, "broken", "it is not seen here", fix)
    except PermissionError:
        fix = "on the server: nix-store --verify --check-contents --repair"
        return Finding("path", path, "broken", "it cannot be read from here", fix)
    except OSError as error:
        text = error.strerror or str(error)
        return Finding("path", path, "broken", text, "look at the server, and mount it again")
    return Finding("path", path, "ok", "it is seen, and can be read")


def _read_a_little(path: str) -> None:
    """Of a file the first byte, of a folder the first name; a link need not lead anywhere."""
    os.lstat(path)
    if os.path.islink(path):
        os.readlink(path)
    elif os.path.isdir(path):
        with os.scandir(path) as entries:
            next(entries, None)
    else:
        with open(path, "rb") as file:
            file.read(1)


def examine(paths: List[str]) -> List[Finding]:
    """Every look that can be taken."""
    with open("/proc/self/mountinfo", errors="replace") as file:
        found = judge_mount(mount_of(STORE, file.read()))
    if found[0].status == "broken":
        return found
    found += look_at_store()
    if found[-1].status == "broken":
        return found
    return found + look_at_paths(paths)


def main(words: List[str]) -> int:
    """Prints the findings; returns the exit status."""
    parser = argparse.ArgumentParser(description="Looks at this machine's view of a Nix store.")
    parser.add_argument("--json", action="store_true", help="a list of objects, in one line")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="store paths that actions need")
    options = parser.parse_args(words)
    found = examine(options.paths)
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
    # Not an ordinary exit, which would wait for a look that hangs.
    os._exit(status)
