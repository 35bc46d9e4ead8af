"""`nix-remote roots`: lists the durable roots on the server, and removes unused ones."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Mapping, Optional, TypedDict

from nix_remote import settings
from nix_remote.cli import options as common
from nix_remote.cli.command import Command, add_action
from nix_remote.cli.render import count_of, format_age
from nix_remote.cli.result import Result
from nix_remote.copy.request import owner
from nix_remote.errors import (
    ClocksDisagree,
    NothingToSelectBy,
    RootsUnreadable,
    WorkspaceAmbiguous,
)
from nix_remote.server import connect
from nix_remote.server.disk_check import DISK_COMMAND, disks
from nix_remote.server.gc_roots.counted import uncounted
from nix_remote.server.gc_roots.listing import list_roots, remove_roots
from nix_remote.server.gc_roots.names import Root, Roots
from nix_remote.server.gc_roots.retention import GRACE, Retention, has_name, matching_workspaces
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.store.paths import STORE_DIRECTORY

_DESCRIPTION = """\
Lists the durable roots that copies have made on the server for this account, and removes
unused ones. After a root is removed, the server's next garbage collection deletes the paths
that no other root keeps."""

_NOT_COUNTED = "  NOT COUNTED by the server's garbage collector: copy it again"


class _RootData(TypedDict):
    workspace: str
    package: str
    path: str
    last_used: int
    age: int
    counted: Optional[bool]


class RootsData(TypedDict):
    """The data of a list or a removal."""

    host: str
    action: str
    removed: bool
    roots: list[_RootData]
    other_links: int


def _add_options(parser: argparse.ArgumentParser) -> None:
    common.add_transport(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = add_action(actions, "list", "list roots, with the time since each was last used")
    pruning = add_action(actions, "prune", "remove the selected roots")
    for action in (listing, pruning):
        action.add_argument(
            "--older-than",
            type=common.duration,
            metavar="AGE",
            help="select roots not used for this time: 12h, 30d, 2w",
        )
    listing.add_argument(
        "--workspace",
        metavar="NAME",
        help="select roots of all workspaces of this name, or of the one in this folder",
    )
    pruning.add_argument(
        "--workspace",
        metavar="DIR",
        help="select roots of this user's workspace in DIR, or of NAME-DIGEST, as in the list",
    )
    pruning.add_argument(
        "--all-owners",
        action="store_true",
        help="with the name of a workspace: select roots of every user and machine",
    )
    pruning.add_argument(
        "--when-free-below",
        type=common.size,
        metavar="SIZE",
        help="remove nothing unless the store's disk has less free space: 50G",
    )
    pruning.add_argument(
        "--grace",
        type=common.duration,
        default=GRACE,
        metavar="AGE",
        help="never remove roots used within this time (default: 1h)",
    )
    pruning.add_argument("--dry-run", action="store_true", help="only show what would be removed")


def _run(options: argparse.Namespace) -> Result[RootsData]:
    chosen = settings.choose(host=options.host, transport=options.transport)
    pruning = options.action == "prune"
    if pruning and options.older_than is None and options.workspace is None:
        raise NothingToSelectBy()
    folder = _folder_meant(chosen.environment, options.workspace)
    retention = Retention(
        options.older_than,
        None if folder is None else frozenset([folder]),
        options.grace if pruning else 0.0,
    )
    named: Optional[str] = options.workspace if folder is None else None
    there: set[str] = set()

    def selected(root: Root, now: int) -> bool:
        if named is not None:
            if not has_name(root.workspace, named):
                return False
            there.add(root.workspace)
        return retention.is_expired(root, now)

    renderer = common.renderer(chosen, options)
    with closing(renderer), connect.open_remote_exec(chosen, renderer) as remote_exec:
        begun = int(time.time())
        found = list_roots(remote_exec, chosen.host, selected)
        if pruning:
            _compare_clocks(chosen.host, begun, found.now, retention.clocks_apart)
        roots = found.roots
        if pruning and named is not None and not options.all_owners:
            wanted = _meant(chosen, named, there)
            roots = tuple(root for root in roots if root.workspace in wanted)
        if pruning and not _needed(options, chosen.host, remote_exec):
            roots = ()
        if pruning and not options.dry_run:
            roots = remove_roots(remote_exec, chosen.host, roots, renderer)
        # Roots to be removed need not be counted.
        missed = None if pruning or not roots else uncounted(remote_exec, roots)
    return Result(
        "roots",
        {
            "host": chosen.host,
            "action": options.action,
            "removed": pruning and not options.dry_run,
            "roots": [_described(root, found, missed) for root in roots],
            "other_links": found.others,
        },
    )


def _folder_meant(environment: Mapping[str, str], workspace: Optional[str]) -> Optional[str]:
    """The workspace's folder on the server, if it was given as a folder of this machine."""
    if workspace is None or (os.sep not in workspace and workspace not in (os.curdir, os.pardir)):
        return None
    return owner(environment, Path(os.path.abspath(workspace))).folder


def _compare_clocks(host: str, here: int, there: int, bound: int) -> None:
    """Raises `ClocksDisagree`. The time there was taken between `here` and now."""
    if not here - bound <= there <= int(time.time()) + bound:
        raise ClocksDisagree(host, there, here, bound)


def _meant(chosen: settings.Settings, named: str, there: set[str]) -> frozenset[str]:
    """The workspaces that a name means. Raises `WorkspaceAmbiguous`."""
    here = Path.cwd()
    own = [owner(chosen.environment, each).folder for each in (here / named, here, *here.parents)]
    wanted = matching_workspaces(named, there, own)
    if wanted is None:
        raise WorkspaceAmbiguous(named, chosen.host, sorted(there))
    return wanted


def _needed(options: argparse.Namespace, host: str, remote_exec: RemoteExec) -> bool:
    """Whether `--when-free-below` allows the removal. Raises `RootsUnreadable`."""
    if options.when_free_below is None:
        return True
    output = remote_exec.run(DISK_COMMAND, waiting_for="a check of its disks")
    free = [disk.free_bytes for disk in disks(output.stdout) if disk.folder == STORE_DIRECTORY]
    if not free:
        raise RootsUnreadable(host, output.stderr or "nothing of its disks")
    return free[0] < int(options.when_free_below)


def _described(root: Root, found: Roots, missed: Optional[frozenset[Root]]) -> _RootData:
    return {
        "workspace": root.workspace,
        "package": root.package,
        "path": root.path,
        "last_used": root.last_used,
        "age": found.now - root.last_used,
        "counted": None if missed is None else root not in missed,
    }


def _conclude(data: RootsData) -> str:
    roots = data["roots"]
    if data["removed"]:
        what = "removed"
    elif data["action"] == "prune":
        what = "would remove"
    else:
        what = "found"
    lines = [f"{what} {count_of(len(roots), 'root')} on {data['host']}"]
    if data["other_links"]:
        lines.append(f"  {data['other_links']} links there were not made by copies")
    lines += [
        f"  {format_age(root['age']):>5}  {root['workspace']}  {root['package']}  {root['path']}"
        f"{_NOT_COUNTED if root['counted'] is False else ''}"
        for root in roots
    ]
    if data["action"] == "list" and any(root["counted"] is None for root in roots):
        lines.append("  this account may not check whether the garbage collector counts them")
    return "\n".join(lines)


COMMAND = Command(
    name="roots",
    summary="list or prune the durable roots on the server",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
)
