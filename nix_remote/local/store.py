"""The store of this machine, as the copier sees it: names, closures, content."""

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
    """The Nix store of this machine. Nothing in it is ever changed."""

    def __init__(self, settings: LocalStoreSettings) -> None:
        self._settings = settings

    def store_path(self, text: str) -> StorePath:
        """The store path that a path given by a person means.

        A path below a store path and a link to one (`./result`) mean that
        store path. Raises `NotAStorePath`.
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
        """Everything `roots` need, in dependency order.

        Raises `PathNotValid` for a root that is not valid, and
        `LocalStoreUnavailable` if the store cannot be asked.
        """
        infos = self._closure_infos(roots)
        for root in roots:
            if root not in infos:
                raise PathNotValid(root)
        try:
            return in_dependency_order(infos, roots)
        except (KeyError, ValueError) as error:
            raise LocalStoreUnavailable(f"its answer makes no sense: {error}") from None

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
        """Raises `PathContentMissing` if one of these paths is registered but not there."""
        for info in infos:
            if not os.path.lexists(info.path):
                raise PathContentMissing(info.path, "it is registered as valid, but does not exist")

    def check_content(self, infos: Sequence[PathInfo]) -> None:
        """Reads these paths; raises `PathContentChanged` if one has not the registered hash.

        Raises `PathContentMissing` if one cannot be read.
        """
        for info in infos:
            digest = hashlib.sha256()
            for chunk in self.nar(info):
                digest.update(chunk)
            if digest.digest() != info.nar_hash:
                found = format_nar_hash(NarHash(digest.digest()))
                why = f"its hash was {format_nar_hash(info.nar_hash)}, and is {found} now"
                raise PathContentChanged(info.path, why)

    def shells(self, paths: Sequence[StorePath]) -> list[str]:
        """The first shell among these paths, if one of them has any."""
        programs = (f"{path}/bin/{name}" for path in paths for name in _SHELLS)
        found = (each for each in programs if os.access(each, os.X_OK))
        return list(itertools.islice(found, 1))

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        """The NAR of a path, in pieces.

        Raises `PathContentMissing` if it cannot be read and
        `PathContentChanged` if its size is not what is registered. Whether
        the content is the registered one, the receiver finds out.
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
            why = f"its NAR had {info.nar_size} bytes when it was registered; it has {found} now"
            raise PathContentChanged(info.path, why)


def _follow_first_link(path: str) -> Optional[str]:
    """The path with its first link replaced by what it says; None if there is no link.

    Not `realpath`: a store path may itself be a link to another one.
    """
    parts = path.split("/")
    for end in range(2, len(parts) + 1):
        prefix = "/".join(parts[:end])
        if os.path.islink(prefix):
            target = os.path.join(os.path.dirname(prefix), os.readlink(prefix))
            return os.path.abspath("/".join([target, *parts[end:]]))
    return None
