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

    def __init__(self, alias: str, path: str, message: str) -> None:
        super().__init__(
            f"{alias} did not accept {path}",
            why=f"it said: {message}",
            fix="repair what it complains about, then run this again: what arrived is kept",
        )


class ContentAddressRefused(TransferError):
    code = "content-address-refused"

    def __init__(self, alias: str, path: str, message: str) -> None:
        super().__init__(
            f"the Nix of {alias} computes another content address for {path} than the one in its"
            " name",
            why=f"it said: {message}\nNix versions differ in how they hash a content-addressed path"
            " that refers to itself;\nthe content that arrived is the registered one: nothing has"
            " changed on this machine",
            fix="use the same version of Nix on both machines, or copy the path that this one was"
            " made from\n(what `nix store make-content-addressed` was given)",
        )


class PathTooDeep(TransferError):
    code = "path-too-deep"

    def __init__(self, alias: str, path: str, message: str) -> None:
        super().__init__(
            f"{path} has more levels of folders than the Nix of {alias} accepts",
            why=f"it said: {message}\nNix 2.34.7 and later, and late releases of the branches 2.28"
            " to 2.33, accept 64 levels",
            fix=f"see the deepest: find {path} -printf '%d %p\\n' | sort -n | tail -n 1\n"
            "build the package without them (put the tree into an archive, for instance), or use a"
            " server\nwith a Nix that has no such limit",
        )


class NameTooLong(TransferError):
    code = "name-too-long"

    def __init__(self, alias: str, path: str, message: str) -> None:
        super().__init__(
            f"{path} contains a name that is too long for {alias}",
            why=f"it said: {message}\nNix and most file systems take names of at most 255 bytes, and"
            " Nix before 2.34 full\npaths of at most 4095; encrypting file systems take less",
            fix="build the package with shorter names, or keep the server's store on a file system"
            " that\ntakes them (getconf NAME_MAX /nix/store shows the limit)",
        )


class ServerDiskFull(TransferError):
    code = "server-disk-full"

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(
            f"the disk of {alias} is full",
            why=f"it said: {message}",
            fix=f"make room there: ssh {alias} 'df -h /nix; nix-store --gc'\n"
            "then run this again: paths that arrived whole are kept",
        )


class ServerQuotaExceeded(TransferError):
    code = "server-quota-exceeded"

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(
            f"a disk quota on {alias} is used up",
            why=f"it said: {message}",
            fix=f"raise the quota there, or make room: ssh {alias} nix-store --gc\n"
            "then run this again: paths that arrived whole are kept",
        )


class ServerStoreReadOnly(TransferError):
    code = "server-store-read-only"

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(
            f"the Nix store of {alias} cannot be written",
            why=f"it said: {message}",
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
            fix="replace the server's by this machine's, when no action uses it:\n"
            f"nix-remote copy --repair --host {alias} {path}",
        )


class ContentDamaged(TransferError):
    code = "content-damaged"

    def __init__(self, alias: str, path: str, how: str, more: int) -> None:
        others = f" (and {more} more paths are damaged)" if more else ""
        super().__init__(
            f"{path} is valid in the Nix database of {alias}, but {how}{others}",
            why="something other than Nix removed or changed files in /nix/store there, or its"
            " disk is damaged",
            fix="send again what is damaged, in its place, when no action uses it:\n"
            f"nix-remote copy --repair --host {alias} {path}\n"
            "(everything that a workspace uses: nix-remote ensure --repair)",
        )


class ReplacementImpossible(TransferError):
    code = "replacement-impossible"

    def __init__(self, alias: str, user: str, path: str, more: int) -> None:
        others = f", nor {more} more" if more else ""
        super().__init__(
            f"{user} cannot replace {path} on {alias}{others}",
            why="only the worker protocol has a request for it, and this session uses the serve"
            " protocol",
            fix="one of these:\n"
            "1. let the account run nix-daemon --stdio, then run this again\n"
            "2. log in as root for it: nix-remote copy --repair --host root@HOST PATH\n"
            "3. by hand. Here: nix --extra-experimental-features nix-command copy"
            f" --to file://$PWD/repair {path}\n"
            "   then bring the folder repair to /root on the server, and there, as root:\n"
            f"   nix-store --repair-path {path} --option substituters file:///root/repair"
            " --option require-sigs false",
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

    def __init__(self, alias: str, command: str, message: str) -> None:
        super().__init__(
            f"a garbage collection on {alias} that runs now could take what was sent",
            why=f"to wait for it, this has to run there, and did not: {command}\nit said: {message}",
            fix="let the account run that command, or log in to one that may run "
            "nix-daemon --stdio (Nix 2.20 or newer; not Lix)",
        )


class RootRefused(PromiseError):
    code = "root-refused"

    def __init__(self, alias: str, location: str, message: str) -> None:
        super().__init__(
            f"no durable garbage-collector root could be made on {alias}",
            why=f"{location}: {message}",
            fix="make that folder writable for the account, or give the account a home folder;\n"
            "over the serve protocol, with Nix before 2.20, and with Lix, let it run\n"
            "nix-store --realise, or log in to one that may run nix-daemon --stdio\n"
            "(Nix 2.20 or newer; not Lix)",
        )


class RootNotCounted(PromiseError):
    code = "root-not-counted"

    def __init__(self, alias: str, account: str, location: str) -> None:
        folder = f"/nix/var/nix/gcroots/nix-remote/{account}"
        super().__init__(
            f"the garbage collector of {alias} does not count the durable root {location}",
            why="Nix there cannot read that link, and a collection would delete the path: the Nix "
            "daemon runs with ProtectHome=, in a container, or without the right to read an NFS "
            "home folder",
            fix="let the daemon read the account's home folder: systemctl cat nix-daemon.service\n"
            f"or make a folder for roots that it can read, as root on {alias}:\n"
            f"install -d -m 755 -o {account} {folder}",
        )


class RootNotConfirmed(PromiseError):
    code = "root-not-confirmed"

    def __init__(self, alias: str, location: str, command: str, message: str) -> None:
        super().__init__(
            f"it is not known whether the garbage collector of {alias} counts a durable root",
            why=f"{location}: to ask for the roots, this has to run there, and did not: {command}\n"
            f"it said: {message}",
            fix="let the account run that command; an account of `nix-remote setup server` needs\n"
            "the server script of this version: run it again",
        )


class RootsUnreadable(PromiseError):
    code = "roots-unreadable"

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(
            f"the durable roots on {alias} cannot be listed or removed",
            why=f"it said: {message}" if message else "the account may not run the commands for it",
            fix=f"log in with an account that has a shell: ssh {alias} date",
        )


class ClocksDisagree(PromiseError):
    code = "clocks-disagree"

    def __init__(self, alias: str, there: int, here: int, bound: int) -> None:
        apart = abs(there - here)
        super().__init__(
            f"the clock of {alias} and this machine's are {apart} s apart: no root is removed",
            why=f"the time there is {there}, here {here} (seconds since 1970); roots look as much "
            f"older than they are, if the clock of {alias} is wrong. {bound} s are allowed",
            fix=f"compare them: date; ssh {alias} date. Set the wrong one, and run this again",
        )


class ContentsUnreadable(PromiseError):
    code = "contents-unreadable"

    def __init__(self, alias: str, command: str, message: str) -> None:
        super().__init__(
            f"whether the paths on the disk of {alias} are whole cannot be checked",
            why=f"the account may not run {command}" + (f"; it said: {message}" if message else ""),
            fix="let the account run that command (the dispatcher that nix-remote setup server"
            " writes\nallows it), or use an account that may",
        )
