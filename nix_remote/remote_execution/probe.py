"""The action that probes a store: its script, its inputs, and its output.

An executor may have no program except a shell, and an action may see nothing of the executor
except the store. So the script uses only builtins of a shell: `/bin/sh`, or the shell of a store
path.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional, Sequence

from nix_remote.remote_execution.messages import (
    Action,
    Command,
    Directory,
    Duration,
    FileNode,
    Platform,
    Property,
    digest_of,
)
from nix_remote.remote_execution.protobuf import encode

SHELL: Final = "/bin/sh"

_SCRIPT_NAME: Final = "look.sh"
_LIST_NAME: Final = "paths"
_BEGIN: Final = "nix-remote looks"
_END: Final = "looked at"

# `: <` opens a file or a folder, and reads nothing: it fails if the path is not readable.
_SCRIPT: Final = rf"""
echo {_BEGIN}
if [ -r /proc/self/mountinfo ]; then
  while read -r line; do
    case $line in *" /nix/store "*) echo "mount $line" ;; esac
  done </proc/self/mountinfo
fi
count=0
while read -r path; do
  count=$((count + 1))
  if [ -L "$path" ]; then continue; fi
  if [ ! -e "$path" ]; then echo "absent $path"; continue; fi
  (: <"$path") 2>/dev/null || echo "closed $path"
done <{_LIST_NAME}
echo {_END} $count
"""


@dataclass(frozen=True)
class Probe:
    """An action and all its blobs; the action itself is the last blob."""

    action: bytes
    blobs: tuple[bytes, ...]


@dataclass(frozen=True)
class ProbeResult:
    """The output of a probe."""

    mountinfo: str
    """The lines of `/proc/self/mountinfo` that mention the store."""
    absent: frozenset[str]
    unreadable: frozenset[str]


def build(
    shell: str, paths: Sequence[str], properties: Sequence[tuple[str, str]], timeout: float
) -> Probe:
    """The action in which `shell` checks these store paths, for at most `timeout` seconds."""
    script = _SCRIPT.encode()
    names = "".join(f"{path}\n" for path in paths).encode()
    files = FileNode(_SCRIPT_NAME, digest_of(script)), FileNode(_LIST_NAME, digest_of(names))
    inputs = encode(Directory(files))
    # In the command for services before version 2.2 of the API, in the action for others, as Bazel.
    platform = Platform(tuple(Property(*each) for each in properties))
    command = encode(Command((shell, _SCRIPT_NAME), platform))
    action = encode(
        Action(
            digest_of(command),
            digest_of(inputs),
            Duration(max(1, round(timeout))),
            # An earlier result would be useless.
            do_not_cache=True,
            platform=platform,
        )
    )
    return Probe(action, (script, names, inputs, command, action))


def read(output: str, count: int) -> Optional[ProbeResult]:
    """Parses the output of a probe of `count` paths; None if the shell did not finish."""
    lines = output.splitlines()
    if lines[:1] != [_BEGIN] or lines[-1:] != [f"{_END} {count}"]:
        return None

    def values(word: str) -> list[str]:
        return [line[len(word) + 1 :] for line in lines if line.startswith(f"{word} ")]

    return ProbeResult(
        "\n".join(values("mount")), frozenset(values("absent")), frozenset(values("closed"))
    )
