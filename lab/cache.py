"""The lab's cache folder, and building its entries exactly once.

`NIX_REMOTE_LAB_CACHE` moves the folder (default: `~/.cache/nix-remote-lab`).
Deleting it is always safe while no lab is up.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator


def root() -> Path:
    """The cache folder, created if missing."""
    configured = os.environ.get("NIX_REMOTE_LAB_CACHE")
    base = Path(configured) if configured else Path.home() / ".cache" / "nix-remote-lab"
    base.mkdir(parents=True, exist_ok=True)
    return base


def digest(*parts: object) -> str:
    """A short name for the given inputs; different inputs, different name."""
    state = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else repr(part).encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_once(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name`, created by `build(folder)` unless an earlier run did.

    Safe with concurrent processes; a failed build leaves nothing.
    """
    final = root() / name
    if final.exists():
        return final
    with _locked(root() / f"{name}.lock"):
        if final.exists():
            return final
        partial = root() / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            build(partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        partial.rename(final)
    return final
