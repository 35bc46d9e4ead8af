"""The local store: resolving names, querying closures, reading content."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from typing import Final, Iterator, Optional, Sequence

from nix_remote.errors import (
    LocalStoreUnavailable,
    NotAStorePath,
    PathContentChanged,
    PathContentMissing,
    PathNotValid,
)
from nix_remote.local import daemon, database, serve
from nix_remote.local.nar import nar_chunks
from nix_remote.processes import ProcessFailed
from nix_remote.settings import LocalStoreSettings
from nix_remote.store.closure import in_dependency_order
from nix_remote.store.paths import (
    STORE_DIRECTORY,
    NarHash,
    PathInfo,
    StorePath,
    format_nar_hash,
    parse_store_path,
)
from nix_remote.wire.codec import WireError

# Values of NIX_REMOTE that mean the ordinary store of this machine.
_ORDINARY: Final = ("", "auto", "daemon", "local")

_MAX_LINKS: Final = 40

_SHELLS: Final = ("sh", "bash")


class LocalStore:
    """The local Nix store. It is never changed."""

    def __init__(self, settings: LocalStoreSettings) -> None:
        self._settings = settings

    def store_path(self, text: str) -> StorePath:
        """The store path of a path that the user gave.

        A path below a store path, and a link to one (`./result`), stand for that store path.
        Raises `NotAStorePath`.
        """
        candidate = os.path.abspath(text)
        for _ in range(_MAX_LINKS):
            if candidate.startswith(STORE_DIRECTORY + "/"):
                top = "/".join(candidate.split("/")[:4])
                try:
                    return parse_store_path(top)
                except ValueError:
                    break
            followed = _follow_first_link(candidate)
            if followed is None:
                break
            candidate = followed
        raise NotAStorePath(text)

    def closure(self, roots: Sequence[StorePath]) -> list[PathInfo]:
        """The closure of `roots`, in dependency order.

        Raises `PathNotValid` for a root that is not valid, and `LocalStoreUnavailable` if the
        store cannot be queried.
        """
        infos = self._closure_infos(roots)
        for root in roots:
            if root not in infos:
                raise PathNotValid(root)
        try:
            return in_dependency_order(infos, roots)
        except (KeyError, ValueError) as error:
            raise LocalStoreUnavailable(f"its reply is inconsistent: {error}") from None

    def _closure_infos(self, roots: Sequence[StorePath]) -> dict[StorePath, PathInfo]:
        ordinary = self._settings.remote in _ORDINARY
        state = self._settings.state_directory
        if ordinary:
            with contextlib.suppress(database.DatabaseUnusable):
                return database.closure_infos(state, roots)
        try:
            return serve.closure_infos(roots)
        except (ProcessFailed, WireError) as error:
            if ordinary:
                with contextlib.suppress(OSError, EOFError, WireError):
                    return daemon.closure_infos(state, roots)
            raise LocalStoreUnavailable(str(error)) from None

    def check_present(self, infos: Sequence[PathInfo]) -> None:
        """Raises `PathContentMissing` if one of these valid paths does not exist on the disk."""
        for info in infos:
            if not os.path.lexists(info.path):
                raise PathContentMissing(info.path, "it is registered as valid, but does not exist")

    def check_content(self, infos: Sequence[PathInfo]) -> None:
        """Reads these paths, and compares their content with the registered hash.

        Raises `PathContentChanged` if it differs, `PathContentMissing` if it cannot be read.
        """
        for info in infos:
            digest = hashlib.sha256()
            for chunk in self.nar(info):
                digest.update(chunk)
            if digest.digest() != info.nar_hash:
                found = format_nar_hash(NarHash(digest.digest()))
                why = f"its registered hash is {format_nar_hash(info.nar_hash)}, not {found}"
                raise PathContentChanged(info.path, why)

    def shells(self, paths: Sequence[StorePath]) -> list[str]:
        """The first shell in one of these paths; empty if there is none."""
        programs = (f"{path}/bin/{name}" for path in paths for name in _SHELLS)
        found = (each for each in programs if os.access(each, os.X_OK))
        return list(itertools.islice(found, 1))

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        """The NAR of a path, in pieces.

        Raises `PathContentMissing` if it cannot be read, and `PathContentChanged` if its size
        differs from the registered size. The receiver checks the hash.
        """
        size = 0
        try:
            for chunk in nar_chunks(info.path):
                size += len(chunk)
                if size > info.nar_size:
                    break
                yield chunk
        except OSError as error:
            raise PathContentMissing(info.path, str(error)) from None
        except ValueError as error:
            raise PathContentChanged(info.path, str(error)) from None
        if size != info.nar_size:
            found = "more" if size > info.nar_size else str(size)
            why = f"its NAR was registered with {info.nar_size} bytes; it has {found} now"
            raise PathContentChanged(info.path, why)


def _follow_first_link(path: str) -> Optional[str]:
    """The path with its first symbolic link resolved; None if there is no link.

    Not `realpath`: a store path may itself be a link to another store path.
    """
    parts = path.split("/")
    for end in range(2, len(parts) + 1):
        prefix = "/".join(parts[:end])
        if os.path.islink(prefix):
            target = os.path.join(os.path.dirname(prefix), os.readlink(prefix))
            return os.path.abspath("/".join([target, *parts[end:]]))
    return None
