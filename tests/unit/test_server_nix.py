"""What `--server-nix` means, and how tars are recognised."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from lab import server_nix
from lab.commands import LabError
from lab.server_nix import from_option


@pytest.fixture
def tars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NIX_REMOTE_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path


def make(tar: Path, *names: str) -> Path:
    with tarfile.open(tar, "w:xz") as archive:
        for name in names:
            empty = tarfile.TarInfo(name)
            archive.addfile(empty)
    return tar


def test_one_tar_is_for_all_parts(tars: Path) -> None:
    tar = make(tars / "a.tar.xz", "bin/nix-store")
    assert from_option(str(tar)).tars == dict.fromkeys(server_nix.PARTS, tar)


def test_parts_are_chosen_apart(tars: Path) -> None:
    one, other = (make(tars / name, "bin/nix-store") for name in ("a.tar", "b.tar"))
    chosen = from_option(f"daemon={one},collector={other}")
    assert chosen.tars == {"daemon": one, "collector": other}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("/absent/nix.tar", "there is no file /absent/nix.tar"),
        ("server=TAR", "'server' is none of daemon, path, collector"),
        ("daemon=TAR,daemon=TAR", "daemon has two tars"),
        ("TAR,path=TAR", "path has two tars"),
    ],
)
def test_what_makes_no_sense_is_refused(tars: Path, option: str, message: str) -> None:
    tar = make(tars / "a.tar", "bin/nix-store")
    with pytest.raises(ValueError, match=message):
        from_option(option.replace("TAR", str(tar)))


_NAME = "0123456789abcdfghijklmnpqrsvwxyz-lix-2.93.3"
_LOADER = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"


@pytest.mark.parametrize(
    ("names", "command"),
    [
        (
            (f"lix-2.93.3/store/{_NAME}/bin/nix-daemon", "lix-2.93.3/.reginfo"),
            f"/nix/store/{_NAME}/bin/nix-store",
        ),
        (("bin/nix-store",), "INSIDE/bin/nix-store"),
        (("tree/usr/bin/nix-store",), "INSIDE/tree/usr/bin/nix-store"),
        (
            ("usr/bin/nix-store", _LOADER),
            f"INSIDE/{_LOADER} --argv0 nix-store"
            " --library-path INSIDE/usr/lib/x86_64-linux-gnu:INSIDE/usr/lib"
            " INSIDE/usr/bin/nix-store",
        ),
    ],
    ids=["binary-tarball", "static", "folder", "root-tree"],
)
def test_a_program_is_started_as_its_layout_needs(
    tars: Path, names: tuple[str, ...], command: str
) -> None:
    tar = make(tars / "build.tar.xz", *names)
    (inside,) = from_option(str(tar)).binds().values()
    build = server_nix.unpacked(tar)
    assert build.command("nix-store") == command.replace("INSIDE", inside)


def test_a_tar_without_nix_is_refused(tars: Path) -> None:
    tar = make(tars / "other.tar", "README")
    with pytest.raises(LabError, match=r"neither \.reginfo and store/, nor bin/nix-store"):
        from_option(str(tar)).binds()
