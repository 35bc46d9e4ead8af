"""Store content in bulk: thousands of paths in seconds, without a build for each.

The files are put into a host's store, and the host's own Nix computes the hashes
and registers the paths, so they are valid as any other. The same arguments make
the same paths.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Sequence

from lab.host import Host

_NIX_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_STORE = "/nix/store"
_REFERENCES_PER_PATH = 3


@dataclass(frozen=True)
class Shape:
    """What a closure looks like: folders of files of noise, which refer to each other."""

    name: str
    paths: int
    files_per_path: int = 1
    file_size: int = 64


def make_closure(host: Host, shape: Shape) -> list[str]:
    """Adds a closure of that shape to a host's store; returns it, references first.

    The last path references all others, directly or not. The content depends only on `shape`.
    """
    noise = random.Random(shape.name)
    names = [_store_name(f"{shape.name}-{number}") for number in range(shape.paths)]
    references = _references(noise, shape.paths)
    for number, name in enumerate(names):
        folder = host.store / name
        folder.mkdir()
        needed = "".join(f"{_STORE}/{names[other]}\n" for other in references[number])
        for each in range(shape.files_per_path):
            content = noise.randbytes(shape.file_size)
            (folder / f"file-{each}").write_bytes(needed.encode() + content)
    paths = [f"{_STORE}/{name}" for name in names]
    _register(host, paths, [[paths[other] for other in each] for each in references])
    return paths


def make_referrers(host: Host, name: str, count: int, needed: Sequence[str]) -> None:
    """Adds small paths that reference all the given ones; no root keeps them."""
    names = [_store_name(f"{name}-{number}") for number in range(count)]
    for each in names:
        (host.store / each).write_text("")
    paths = [f"{_STORE}/{each}" for each in names]
    _register(host, paths, [needed] * count)


def make_stars(host: Host, name: str, leaves: int, tops: int) -> list[str]:
    """Adds small paths without references, and top paths that reference all of them.

    Returns the tops.
    """
    names = [_store_name(f"{name}-{number}") for number in range(leaves + tops)]
    for each in names:
        (host.store / each).write_text(each)
    paths = [f"{_STORE}/{each}" for each in names]
    references: list[list[str]] = [[]] * leaves + [paths[:leaves]] * tops
    _register(host, paths, references)
    return paths[leaves:]


def make_sparse_file(host: Host, name: str, size: int) -> str:
    """Adds a store path that is one sparse file of zeros."""
    store_name = _store_name(name)
    target = host.store / store_name
    with open(target, "wb") as file:
        file.truncate(size)
    target.chmod(0o444)
    path = f"{_STORE}/{store_name}"
    _register(host, [path], [[]])
    return path


def _references(noise: random.Random, count: int) -> list[list[int]]:
    """The references of every path, all with lower numbers: no cycles."""
    references: list[set[int]] = [set() for _ in range(count)]
    for number in range(count - 1):
        # A later path references it, so the last path's closure contains all.
        references[noise.randrange(number + 1, count)].add(number)
    for number in range(1, count):
        for _ in range(_REFERENCES_PER_PATH - 1):
            references[number].add(noise.randrange(number))
    return [sorted(each) for each in references]


def _store_name(name: str) -> str:
    digest = hashlib.sha256(name.encode()).digest()
    return "".join(_NIX_ALPHABET[byte % 32] for byte in digest) + f"-{name}"


def _register(host: Host, paths: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    # For each path: itself, no deriver, the number of references, the references.
    # Nix makes modes and times canonical and computes hash and size.
    lines = [
        "\n".join([path, "", str(len(needed)), *needed]) for path, needed in zip(paths, references)
    ]
    text = "\n".join(lines) + "\n"
    # Root's Lix asks the daemon, where one runs, and cannot do this through it.
    env = {"NIX_REMOTE": "local"}
    command = ["nix-store", "--register-validity"]
    host.run(command, env=env, stdin=text, timeout=300).check()
