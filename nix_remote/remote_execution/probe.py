"""The action that looks at a store: what it runs, its inputs, and what its output says.

An executor need not have Python, nor any program beside a shell; and an action may see nothing
of the executor but the store. So it is a shell that looks, with nothing but what is built into
it: `/bin/sh`, or one of the store paths that are looked for.

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

# `: <` opens a file or a folder, and reads nothing: what may not be read fails.
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
    """An action, and all the blobs that it is made of: itself last."""

    action: bytes
    blobs: tuple[bytes, ...]


@dataclass(frozen=True)
class ProbeResult:
    """What an action has seen."""

    mountinfo: str
    """The lines of `/proc/self/mountinfo` that are about the store."""
    absent: frozenset[str]
    unreadable: frozenset[str]


def build(
    shell: str, paths: Sequence[str], properties: Sequence[tuple[str, str]], timeout: float
) -> Probe:
    """The action in which `shell` looks for these store paths, for at most `timeout` seconds."""
    script = _SCRIPT.encode()
    names = "".join(f"{path}\n" for path in paths).encode()
    files = FileNode(_SCRIPT_NAME, digest_of(script)), FileNode(_LIST_NAME, digest_of(names))
    inputs = encode(Directory(files))
    # Once for services from before version 2.2 of the API, once for the others; as Bazel does.
    platform = Platform(tuple(Property(*each) for each in properties))
    command = encode(Command((shell, _SCRIPT_NAME), platform))
    action = encode(
        Action(
            digest_of(command),
            digest_of(inputs),
            Duration(max(1, round(timeout))),
            # What was seen yesterday says nothing.
            do_not_cache=True,
            platform=platform,
        )
    )
    return Probe(action, (script, names, inputs, command, action))


def read(output: str, count: int) -> Optional[ProbeResult]:
    """What the output of a look for `count` paths says; None if the shell did not get so far."""
    lines = output.splitlines()
    if lines[:1] != [_BEGIN] or lines[-1:] != [f"{_END} {count}"]:
        return None

    def values(word: str) -> list[str]:
        return [line[len(word) + 1 :] for line in lines if line.startswith(f"{word} ")]

    return ProbeResult(
        "\n".join(values("mount")), frozenset(values("absent")), frozenset(values("closed"))
    )
