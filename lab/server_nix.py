"""Any build of Nix or Lix on the lab's servers, in place of the lab's own: `--server-nix`.

    --server-nix TAR                                   all parts
    --server-nix daemon=TAR,path=TAR,collector=TAR     some parts, or parts of several builds

The parts are the daemon, the programs on the PATH of accounts, and the program that collects
garbage (`nix-store --gc` for root). Parts that are not named stay the lab's own. A tar is laid out

* as the released binary tarballs are: a folder with `store/` and `.reginfo`; or
* as a root tree: with `bin/nix-store` or `usr/bin/nix-store`, and the libraries that it needs.

Belongs here: the meaning of the option, and installing builds. Not: which servers get them
(`lab.py`).
"""

from __future__ import annotations

import shlex
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Mapping

from lab import cache
from lab.commands import LabError
from lab.host import Host

PARTS: Final = ("daemon", "path", "collector")

_FOLDER: Final = PurePosixPath("/opt/server-nix")
_OWN: Final = PurePosixPath("/opt/own-nix")
"""Where the lab's own programs are, once another build is in place."""

_LOADERS: Final = (
    "lib64/ld-linux-x86-64.so.2",
    "usr/lib64/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
)
_LIBRARIES: Final = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/nix")
_MORE_LIBRARIES: Final = ("usr/lib64", "lib64", "usr/lib", "lib")


@dataclass(frozen=True)
class ServerNix:
    """The tar of each part; of parts that are not in it, the lab's own."""

    tars: Mapping[str, Path]

    def binds(self) -> dict[Path, str]:
        """The folders that `install` needs: outer folder -> folder on the server."""
        return {build.folder: str(build.inside) for build in map(unpacked, self.tars.values())}

    def install(self, server: Host) -> None:
        """Installs the builds over the server's own programs. Its daemon must not run."""
        builds = {part: unpacked(tar) for part, tar in self.tars.items()}
        for build in {each.inside: each for each in builds.values()}.values():
            build.register(server)
        own = f"{_OWN}/bin"
        server.sh(f"mkdir -p {own}; mv /usr/bin/nix /usr/bin/nix-* {own}/")
        names = server.sh(f"ls {own}").split()
        for name in names:
            program = {
                part: builds[part].command(name) if part in builds else f"{own}/{name}"
                for part in PARTS
            }
            server.write(f"/usr/bin/{name}", _script(name, program), mode="755")


def from_option(text: str) -> ServerNix:
    """Parses the value of `--server-nix`. Raises `ValueError` with a readable message."""
    tars: dict[str, Path] = {}
    for word in text.split(","):
        part, equals, file = word.rpartition("=")
        if equals and part not in PARTS:
            raise ValueError(f"{part!r} is none of {', '.join(PARTS)}")
        path = Path(file).absolute()
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
        for each in [part] if equals else PARTS:
            if each in tars:
                raise ValueError(f"{each} has two tars")
            tars[each] = path
    return ServerNix(tars)


@dataclass(frozen=True)
class Build:
    """An unpacked tar."""

    folder: Path
    """In the outer file system."""
    root: PurePosixPath
    """Below that, the folder with `store/`, or the root tree."""
    store_path: str
    """The name of Nix's own store path; empty for a root tree."""

    @property
    def inside(self) -> PurePosixPath:
        """Where a server sees the folder."""
        return _FOLDER / self.folder.name

    def register(self, server: Host) -> None:
        """Makes the store paths of a binary tarball valid, and keeps them."""
        if not self.store_path:
            return
        tree = self.inside / self.root
        server.sh(
            f"cp -a --no-clobber {tree}/store/. /nix/store/"
            f" && nix-store --load-db < {tree}/.reginfo"
            " && mkdir -p /nix/var/nix/gcroots"
            f" && ln -sfn /nix/store/{self.store_path} /nix/var/nix/gcroots/{self.folder.name}"
        )

    def command(self, name: str) -> str:
        """What starts one of its programs, for a shell."""
        if self.store_path:
            return f"/nix/store/{self.store_path}/bin/{name}"
        outer, tree = self.folder / self.root, self.inside / self.root
        folder = next((each for each in ("usr/bin", "bin") if (outer / each / name).exists()), "")
        program = f"{tree}/{folder or 'usr/bin'}/{name}"
        loader = next((each for each in _LOADERS if (outer / each).exists()), None)
        if loader is None:
            return program
        libraries = ":".join(
            str(tree / each) for each in (*_LIBRARIES, *_MORE_LIBRARIES) if (outer / each).is_dir()
        )
        words = [f"{tree}/{loader}", "--argv0", name, "--library-path", libraries, program]
        return shlex.join(words)


def unpacked(tar: Path) -> Build:
    """The build in a tar, unpacked once. Raises `LabError` for another layout."""
    folder = cache.build_once(f"server-nix-{cache.digest(tar)}", lambda to: _unpack(tar, to))
    for registrations in sorted(folder.glob("**/.reginfo"))[:1]:
        root = registrations.parent
        found = sorted(root.glob("store/*/bin/nix-daemon"))
        if found:
            store_path = found[0].parents[1].name
            return Build(folder, PurePosixPath(root.relative_to(folder)), store_path)
    for name in ("usr/bin/nix-store", "bin/nix-store"):
        for program in sorted(folder.glob(f"{name}"))[:1] or sorted(folder.glob(f"*/{name}"))[:1]:
            root = program.parents[len(PurePosixPath(name).parts) - 1]
            return Build(folder, PurePosixPath(root.relative_to(folder)), "")
    raise LabError(f"{tar} has neither .reginfo and store/, nor bin/nix-store")


def _unpack(tar: Path, folder: Path) -> None:
    with tarfile.open(tar) as archive:
        # As it is: store paths are read-only, and links in a root tree may be absolute.
        archive.extractall(folder, filter="fully_trusted")


def _script(name: str, program: Mapping[str, str]) -> str:
    """A program of the server, from the build of its part."""
    default = f'exec {program["path"]} "$@"\n'
    choose = {
        "nix-daemon": f'case $1 in --stdio) ;; *) exec {program["daemon"]} "$@" ;; esac\n',
        "nix-store": (
            'if [ "$(/usr/bin/id -u)" = 0 ] && [ "$1" = --gc ]; then'
            f' exec {program["collector"]} "$@"; fi\n'
        ),
    }
    return f"#!/bin/sh\n{choose.get(name, '')}{default}"
