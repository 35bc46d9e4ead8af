"""The copy itself: what could not be transferred, and what could not be promised."""

from __future__ import annotations

from typing import Final, Sequence

from nix_remote.errors.base import NixRemoteError

_SHOWN: Final = 20

# Transferring


class TransferError(NixRemoteError):
    """The server took the connection, but not the content."""

    exit_status = 17


class PathRefused(TransferError):
    code = "path-refused"

    def __init__(self, alias: str, path: str, said: str) -> None:
        super().__init__(
            f"{alias} did not accept {path}",
            why=f"it said: {said}",
            fix="repair what it complains about, then run this again: what arrived is kept",
        )


class ServerDiskFull(TransferError):
    code = "server-disk-full"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"the disk of {alias} is full",
            why=f"it said: {said}",
            fix=f"make room there: ssh {alias} 'df -h /nix; nix-store --gc'\n"
            "then run this again: paths that arrived whole are kept",
        )


class ServerQuotaExceeded(TransferError):
    code = "server-quota-exceeded"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"a disk quota on {alias} is used up",
            why=f"it said: {said}",
            fix=f"raise the quota there, or make room: ssh {alias} nix-store --gc\n"
            "then run this again: paths that arrived whole are kept",
        )


class ServerStoreReadOnly(TransferError):
    code = "server-store-read-only"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"the Nix store of {alias} cannot be written",
            why=f"it said: {said}",
            fix=f"check its file system and its database: ssh {alias} "
            "'mount | grep /nix; ls -l /nix/var/nix/db'",
        )


class ContentDiffers(TransferError):
    code = "content-differs"

    def __init__(self, alias: str, path: str, more: int) -> None:
        others = f", and so is that of {more} more" if more else ""
        super().__init__(
            f"the content of {path} on {alias} is another than here{others}",
            why="it was built in both places, and the build is not reproducible",
            fix="replace the one by the other. On the server, once nothing uses it:\n"
            f"nix-store --delete {path}; then run this again\n"
            f"or here: nix-store --delete {path}; then copy it from there",
        )


# The promise


class PromiseError(NixRemoteError):
    """Everything was sent, but the server cannot be said to keep it."""

    exit_status = 18


class ClosureNotKept(PromiseError):
    code = "closure-not-kept"

    def __init__(self, alias: str, missing: int, example: str, rounds: int) -> None:
        super().__init__(
            f"{missing} paths are not valid on {alias} although they were sent, such as {example}",
            why=f"something deletes them: it happened {rounds} times in a row",
            fix=f"let the garbage collection on {alias} finish, then run this again",
        )


class ManifestsUnusable(PromiseError):
    code = "manifests-unusable"

    def __init__(self, files: Sequence[str], why: str) -> None:
        more = len(files) - _SHOWN
        shown = [*files[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        super().__init__(
            f"{len(files)} manifests are not from a fetch of this user: what they name was not"
            " looked at",
            why="\n".join([*shown, *([why] if why else [])]),
            fix="fetch these repositories again: bazel fetch --force --configure\n"
            "one that stays is part of what the repository downloads: report it to its author",
        )


class CollectorNotAwaited(PromiseError):
    code = "collector-not-awaited"

    def __init__(self, alias: str, command: str, said: str) -> None:
        super().__init__(
            f"a garbage collection on {alias} that runs now could take what was sent",
            why=f"to wait for it, this has to run there, and did not: {command}\nit said: {said}",
            fix="let the account run that command, or log in to one that may run "
            "nix-daemon --stdio (Nix 2.20 or newer)",
        )


class RootRefused(PromiseError):
    code = "root-refused"

    def __init__(self, alias: str, location: str, said: str) -> None:
        super().__init__(
            f"no durable garbage-collector root could be made on {alias}",
            why=f"{location}: {said}",
            fix="make that folder writable for the account, or give the account a home folder;\n"
            "over the serve protocol, and with Nix before 2.20, let it run nix-store --realise,\n"
            "or log in to one that may run nix-daemon --stdio (Nix 2.20 or newer)",
        )


class RootsUnreadable(PromiseError):
    code = "roots-unreadable"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"the durable roots on {alias} cannot be listed or removed",
            why=f"it said: {said}" if said else "the account may not run the commands for it",
            fix=f"log in with an account that has a shell: ssh {alias} date",
        )


class ContentsUnreadable(PromiseError):
    code = "contents-unreadable"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"the content of paths on {alias} cannot be looked at",
            why=f"it said: {said}" if said else "the account may not run nix-store --verify-path",
            fix=f"let the account run that command, or log in to one that may: ssh {alias}"
            " nix-store --version",
        )
