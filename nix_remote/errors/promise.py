"""The copy itself: paths that were not transferred, and promises that cannot be made."""

from __future__ import annotations

from typing import Final, Sequence

from nix_remote.errors.base import NixRemoteError

_SHOWN: Final = 20

# Transferring


class TransferError(NixRemoteError):
    """The server accepted the connection, but not the content."""

    exit_status = 17


class PathRefused(TransferError):
    code = "path-refused"

    def __init__(self, alias: str, path: str, message: str) -> None:
        super().__init__(
            f"{alias} did not accept {path}",
            why=f"the server reported: {message}",
            fix="fix what the server reports, then run this again: paths that arrived are kept",
        )


class ContentAddressRefused(TransferError):
    code = "content-address-refused"

    def __init__(self, alias: str, path: str, message: str) -> None:
        super().__init__(
            f"Nix on {alias} computes a content address for {path} that differs from its name",
            why=f"the server reported: {message}\nNix versions differ in how they hash a"
            " content-addressed path that refers to itself;\nthe content that arrived has the"
            " registered hash: nothing has changed on this machine",
            fix="use the same version of Nix on both machines, or copy the path that this one was"
            " made from\n(the argument of `nix store make-content-addressed`)",
        )


class PathTooDeep(TransferError):
    code = "path-too-deep"

    def __init__(self, alias: str, path: str, message: str) -> None:
        super().__init__(
            f"{path} has more levels of folders than Nix on {alias} accepts",
            why=f"the server reported: {message}\nNix 2.34.7 and later, and late releases of the"
            " branches 2.28 to 2.33, accept 64 levels",
            fix=f"find the deepest: find {path} -printf '%d %p\\n' | sort -n | tail -n 1\n"
            "build the package with fewer levels (put the tree into an archive, for instance), or"
            " use a\nserver with a Nix that has no such limit",
        )


class NameTooLong(TransferError):
    code = "name-too-long"

    def __init__(self, alias: str, path: str, message: str) -> None:
        super().__init__(
            f"{path} contains a name that is too long for {alias}",
            why=f"the server reported: {message}\nNix and most file systems accept names of at most"
            " 255 bytes, and Nix before 2.34\nfull paths of at most 4095; encrypting file systems"
            " accept fewer",
            fix="build the package with shorter names, or keep the server's store on a file system"
            " that\naccepts them (getconf NAME_MAX /nix/store shows the limit)",
        )


class ServerDiskFull(TransferError):
    code = "server-disk-full"

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(
            f"the disk of {alias} is full",
            why=f"the server reported: {message}",
            fix=f"free disk space on the server: ssh {alias} 'df -h /nix; nix-store --gc'\n"
            "then run this again: paths that arrived whole are kept",
        )


class ServerQuotaExceeded(TransferError):
    code = "server-quota-exceeded"

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(
            f"a disk quota on {alias} is exceeded",
            why=f"the server reported: {message}",
            fix=f"raise the quota, or free disk space: ssh {alias} nix-store --gc\n"
            "then run this again: paths that arrived whole are kept",
        )


class ServerStoreReadOnly(TransferError):
    code = "server-store-read-only"

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(
            f"the Nix store of {alias} is not writable",
            why=f"the server reported: {message}",
            fix=f"check its file system and its database: ssh {alias} "
            "'mount | grep /nix; ls -l /nix/var/nix/db'",
        )


class ContentDiffers(TransferError):
    code = "content-differs"

    def __init__(self, alias: str, path: str, more: int) -> None:
        others = f", and so do {more} more paths" if more else ""
        super().__init__(
            f"{path} on {alias} differs from the local copy{others}",
            why="it was built on both machines, and the build is not reproducible",
            fix="replace the server's copy by the local one, while no action uses it:\n"
            f"nix-remote copy --repair --host {alias} {path}",
        )


class ContentDamaged(TransferError):
    code = "content-damaged"

    def __init__(self, alias: str, path: str, how: str, more: int) -> None:
        others = f" (and {more} more paths are damaged)" if more else ""
        super().__init__(
            f"{path} is valid in the Nix database of {alias}, but {how}{others}",
            why="something other than Nix removed or changed files in the server's /nix/store, or"
            " its disk is damaged",
            fix="replace damaged paths by the local copies, while no action uses them:\n"
            f"nix-remote copy --repair --host {alias} {path}\n"
            "(for everything that a workspace uses: nix-remote ensure --repair)",
        )


class ReplacementImpossible(TransferError):
    code = "replacement-impossible"

    def __init__(self, alias: str, user: str, path: str, more: int) -> None:
        others = f", nor {more} more" if more else ""
        super().__init__(
            f"{user} cannot replace {path} on {alias}{others}",
            why="only the worker protocol can replace a path, and this session uses the serve"
            " protocol",
            fix="one of these:\n"
            "1. let the account run nix-daemon --stdio, then run this again\n"
            "2. log in as root: nix-remote copy --repair --host root@HOST PATH\n"
            "3. by hand. On this machine: nix --extra-experimental-features nix-command copy"
            f" --to file://$PWD/repair {path}\n"
            "   then move the folder repair to /root on the server, and there, as root:\n"
            f"   nix-store --repair-path {path} --option substituters file:///root/repair"
            " --option require-sigs false",
        )


# The promise


class PromiseError(NixRemoteError):
    """Everything was sent, but it is not certain that the server keeps it."""

    exit_status = 18


class ClosureNotKept(PromiseError):
    code = "closure-not-kept"

    def __init__(self, alias: str, missing: int, example: str, rounds: int) -> None:
        super().__init__(
            f"{missing} paths are not valid on {alias} although they were sent, such as {example}",
            why=f"something on the server deletes them; it happened {rounds} times in a row",
            fix=f"let the garbage collection on {alias} finish, then run this again",
        )


class ManifestsUnusable(PromiseError):
    code = "manifests-unusable"

    def __init__(self, files: Sequence[str], why: str) -> None:
        more = len(files) - _SHOWN
        shown = [*files[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        super().__init__(
            f"{len(files)} manifests are not from a fetch of this user: the paths in them were not"
            " checked",
            why="\n".join([*shown, *([why] if why else [])]),
            fix="fetch these repositories again: bazel fetch --force --configure\n"
            "a manifest that stays is part of what the repository downloads: report it to its"
            " author",
        )


class CollectorNotAwaited(PromiseError):
    code = "collector-not-awaited"

    def __init__(self, alias: str, command: str, message: str) -> None:
        super().__init__(
            f"a running garbage collection on {alias} could delete what was sent",
            why=f"the command that waits for it failed: {command}\nthe server reported: {message}",
            fix="let the account run that command, or use an account that may run "
            "nix-daemon --stdio (Nix 2.20 or newer; not Lix)",
        )


class RootRefused(PromiseError):
    code = "root-refused"

    def __init__(self, alias: str, location: str, message: str) -> None:
        super().__init__(
            f"cannot make a durable garbage-collector root on {alias}",
            why=f"{location}: {message}",
            fix="make that folder writable for the account, or give the account a home folder;\n"
            "over the serve protocol, with Nix before 2.20, and with Lix, let the account run\n"
            "nix-store --realise, or use an account that may run nix-daemon --stdio\n"
            "(Nix 2.20 or newer; not Lix)",
        )


class RootNotCounted(PromiseError):
    code = "root-not-counted"

    def __init__(self, alias: str, account: str, location: str) -> None:
        folder = f"/nix/var/nix/gcroots/nix-remote/{account}"
        super().__init__(
            f"the garbage collector of {alias} does not count the durable root {location}",
            why="Nix on the server cannot read that link, so a garbage collection would delete the "
            "path: the Nix daemon runs with ProtectHome=, in a container, or without the right to "
            "read an NFS home folder",
            fix="let the daemon read the account's home folder: systemctl cat nix-daemon.service\n"
            f"or make a folder for roots that it can read, as root on {alias}:\n"
            f"install -d -m 755 -o {account} {folder}",
        )


class RootNotConfirmed(PromiseError):
    code = "root-not-confirmed"

    def __init__(self, alias: str, location: str, command: str, message: str) -> None:
        super().__init__(
            f"cannot confirm that the garbage collector of {alias} counts a durable root",
            why=f"{location}: the command that lists the roots failed: {command}\n"
            f"the server reported: {message}",
            fix="let the account run that command; an account of `nix-remote setup server` needs\n"
            "the server script of this version: run it again",
        )


class RootsUnreadable(PromiseError):
    code = "roots-unreadable"

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(
            f"cannot list or remove the durable roots on {alias}",
            why=f"the server reported: {message}"
            if message
            else "the account may not run the commands that do so",
            fix=f"use an account that has a shell: ssh {alias} date",
        )


class ClocksDisagree(PromiseError):
    code = "clocks-disagree"

    def __init__(self, alias: str, there: int, here: int, bound: int) -> None:
        apart = abs(there - here)
        super().__init__(
            f"the clocks of {alias} and of this machine are {apart} s apart: no root was removed",
            why=f"the server's time is {there}, the local time {here} (seconds since 1970); a wrong"
            f" clock on {alias} makes roots look older or younger. {bound} s are allowed",
            fix=f"compare the clocks: date; ssh {alias} date. Set the wrong one, then run this"
            " again",
        )


class ContentsUnreadable(PromiseError):
    code = "contents-unreadable"

    def __init__(self, alias: str, command: str, message: str) -> None:
        super().__init__(
            f"cannot check that the paths on the disk of {alias} are intact",
            why=f"the account may not run {command}"
            + (f"; the server reported: {message}" if message else ""),
            fix="let the account run that command (the dispatcher that nix-remote setup server"
            " writes\nallows it), or use an account that may",
        )
