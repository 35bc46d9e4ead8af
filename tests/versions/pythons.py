"""The source of each Python: a Debian release that has it, or this machine.

A Python of this machine must be in its own folder, as `pyenv` creates them: it is added to Debian
testing, at the same path.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Final, Optional

from lab import cache, images
from lab.commands import check, run
from lab.images import Debian, Image, Layer
from tests.versions.cells import Cell

_DEBIAN_11: Final = Debian(
    "debian11",
    ("bullseye",),
    ("iproute2", "nix-bin", "openssh-client", "procps", "python3-venv"),
)
_OF_DEBIAN: Final[dict[str, Image]] = {
    "3.9": _DEBIAN_11,
    "3.11": images.OLD_WITH_PYTHON,
    "3.13": images.STABLE,
    "3.14": images.CURRENT,
}
_LEFT_OUT: Final = ("test", "idlelib", "site-packages", "__pycache__", "*.a")

_INSTALL: Final = r"""
while read -r folder packages; do
  {python} -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
    $packages
  echo /src/nix_remote > "$("$folder/bin/python" -c \
    'import site; print(site.getsitepackages()[0])')/nix_remote.pth"
done <<'END'
{cells}
END
"""


def image(python: str, cells: list[Cell]) -> Optional[Image]:
    """A workstation with that Python and an environment for each cell; None: there is none."""
    base = _base(python)
    if base is None:
        return None
    below, program = base
    lines = "\n".join(" ".join([cell.folder, *cell.packages]) for cell in cells)
    return Layer(f"python{python}", below, _INSTALL.format(python=program, cells=lines))


def _base(python: str) -> Optional[tuple[Image, str]]:
    """A root tree with a Python, and the Python's name there."""
    if python in _OF_DEBIAN:
        return _OF_DEBIAN[python], f"python{python}"
    program = _on_this_machine(python)
    if program is None:
        return None
    prefix = _prefix(program)
    assert prefix is not None
    archive = cache.build_once(
        f"python-files-{python}-{cache.digest(str(prefix))}", lambda to: _pack(prefix, to)
    )
    layer = Layer(
        f"python{python}-files",
        images.CURRENT,
        "tar -x -C / -f python.tar",
        (archive / "python.tar",),
    )
    return layer, str(program)


def _on_this_machine(python: str) -> Optional[Path]:
    folders = os.environ.get("PATH", "").split(os.pathsep)
    folders += sorted(glob.glob(str(Path.home() / f".pyenv/versions/{python}.*/bin")))
    programs = (Path(folder) / f"python{python}" for folder in folders)
    return next((each for each in programs if each.is_file() and _prefix(each)), None)


def _prefix(program: Path) -> Optional[Path]:
    """The folder that has all of a Python and nothing else; None if there is no such folder."""
    done = run([program, "-I", "-c", "import sys; print(sys.base_prefix)"])
    prefix = Path(done.stdout.strip() or "/")
    is_own = done.status == 0 and program.is_relative_to(prefix)
    return (
        prefix if is_own and prefix not in (Path("/"), Path("/usr"), Path("/usr/local")) else None
    )


def _pack(prefix: Path, target: Path) -> None:
    left_out = [f"--exclude={each}" for each in _LEFT_OUT]
    check(["tar", "-c", *left_out, "-f", target / "python.tar", "-C", "/", str(prefix)[1:]])
