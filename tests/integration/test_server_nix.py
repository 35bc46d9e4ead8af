"""`--server-nix`: builds of Nix that are not the lab's own, unpacked into its servers."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Iterator

import pytest

from lab import images, nix, server_nix
from lab.commands import run
from lab.host import Host
from lab.lab import ACCOUNT, Lab, alias
from tests.integration.copier import Copier, assert_kept_whole, new_closure

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]

_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_START = """#!/bin/sh
here=$(/usr/bin/dirname "$(/usr/bin/readlink -f "$0")")/..
lib=$here/lib
exec "$lib/ld-linux-x86-64.so.2" --argv0 {name} --library-path "$lib" "$here/libexec/{name}" "$@"
"""
_PROGRAMS = ("nix-daemon", "nix-store")


def _libraries(root: Path) -> Iterator[Path]:
    """The libraries that Nix of a root tree needs, and what loads them."""
    folders = [root / _LIBRARIES, root / "usr/lib/nix"]
    loader = folders[0] / "ld-linux-x86-64.so.2"
    yield loader
    path = ":".join(map(str, folders))
    command: list[Path | str] = [loader, "--library-path", path, "--list"]
    command.append(root / "usr/bin/nix-store")
    for line in run(command).check().stdout.splitlines():
        file = Path(line.split("=>")[-1].split("(")[0].strip())
        if file.parent in folders and file != loader:
            yield file


@pytest.fixture(scope="module")
def root_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nix 2.26 as a root tree."""
    root = images.lower_directories(images.STABLE)[0]
    tar = tmp_path_factory.mktemp("tars") / "nix-2.26.tar"
    with tarfile.open(tar, "w") as archive:
        for file in [*sorted((root / "usr/bin").glob("nix*")), *_libraries(root)]:
            packed = archive.gettarinfo(file.resolve(), f"nix-2.26/{file.relative_to(root)}")
            with file.resolve().open("rb") as content:
                archive.addfile(packed, content)
    return tar


@pytest.fixture(scope="module")
def binary_tarball(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nix 2.8, laid out as the released binary tarballs are."""
    root = images.lower_directories(images.OLD)[0]
    folder = tmp_path_factory.mktemp("tars") / "nix-2.8.0"
    for part in ("bin", "lib", "libexec"):
        (folder / part).mkdir(parents=True)
    for name in _PROGRAMS:
        (folder / "libexec" / name).write_bytes((root / "usr/bin" / name).read_bytes())
        (folder / "bin" / name).write_text(_START.format(name=name))
        for part in ("bin", "libexec"):
            (folder / part / name).chmod(0o755)
    for library in _libraries(root):
        (folder / "lib" / library.name).write_bytes(library.resolve().read_bytes())
        (folder / "lib" / library.name).chmod(0o755)
    lab.workstation.put(folder, "/tmp/nix-2.8.0")
    path = lab.workstation.sh("nix-store --add /tmp/nix-2.8.0").strip()
    (folder / ".reginfo").write_text(lab.workstation.sh(f"nix-store --dump-db {path}"))
    tar = folder.with_name("nix-2.8.0.tar")
    with tarfile.open(tar, "w") as archive:
        archive.add(folder / ".reginfo", "nix-2.8.0-x86_64-linux/.reginfo")
        name = Path(path).name
        archive.add(lab.workstation.store / name, f"nix-2.8.0-x86_64-linux/store/{name}")
    return tar


@pytest.fixture(scope="module")
def server(lab: Lab, root_tree: Path, binary_tarball: Path) -> Iterator[Host]:
    builds = server_nix.from_option(f"daemon={root_tree},path={binary_tarball}")
    started = lab.start_server("nix-other", nix.Version.CURRENT, server_nix=builds)
    yield started
    started.stop()


def _prints(server: Host, command: str, user: str = "root") -> str:
    # Nix 2.8 looks into the home folder even then.
    done = server.run(command.split(), user=user, env={"HOME": "/var/empty"})
    return done.check().stdout.split()[-1]


def test_each_part_is_of_its_own_build(server: Host) -> None:
    assert _prints(server, "nix-store --version", ACCOUNT) == "2.8.0"
    assert _prints(server, "nix-store --gc --version") == _prints(
        server, "/opt/own-nix/bin/nix --version"
    )
    running = server.sh("readlink /proc/$(cat /run/nix-daemon.pid)/exe")
    assert running.startswith("/opt/server-nix/")
    # Nix 2.8 lets the daemon greet.
    own = server.run(["nix-daemon", "--version"]).check().stdout.split()[-1]
    assert own == "2.26.3"


def test_copies_are_kept_and_so_is_the_build(lab: Lab, server: Host) -> None:
    copier = Copier(lab.workstation)
    closure = new_closure(lab.workstation)
    text = copier.run("-v", closure[-1], alias=alias(server)).check().stderr
    assert "worker protocol 1.37, Nix 2.26.3" in text
    nix.collect_garbage(server)
    assert_kept_whole(server, lab.workstation, closure)
    assert copier.copy(closure[-1], alias=alias(server))["sent"] == []
