"""`nix-remote roots`: the durable roots on the server, and removing those nobody needs."""

from __future__ import annotations

import argparse
from contextlib import closing

from nix_remote import settings
from nix_remote.cli import options as common
from nix_remote.cli.command import Command, add_action
from nix_remote.cli.render import count_of, format_age
from nix_remote.cli.result import Result
from nix_remote.errors import NothingToSelectBy, RootsUnreadable
from nix_remote.remote import connect
from nix_remote.remote.gc_roots import Root, Roots
from nix_remote.remote.postmortem import LOOK_COMMAND, disks
from nix_remote.remote.programs import Programs
from nix_remote.remote.retention import GRACE, Retention
from nix_remote.remote.roots import list_roots, remove_roots
from nix_remote.wire.types import STORE_DIRECTORY

_DESCRIPTION = """\
Lists the durable roots that copies have made on the server for this account, and removes
those that nobody needs any more. A root that is gone lets the server's next garbage
collection take what nothing else keeps."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    common.add_transport(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = add_action(actions, "list", "list them, with the time since each was last used")
    pruning = add_action(actions, "prune", "remove those that are selected")
    for action in (listing, pruning):
        action.add_argument(
            "--older-than",
            type=common.duration,
            metavar="AGE",
            help="those not used for so long: 12h, 30d, 2w",
        )
        action.add_argument(
            "--workspace", metavar="NAME", help="those of this workspace: its folder's name"
        )
    pruning.add_argument(
        "--when-free-below",
        type=common.size,
        metavar="SIZE",
        help="remove nothing unless the store's disk has less room than that: 50G",
    )
    pruning.add_argument(
        "--grace",
        type=common.duration,
        default=GRACE,
        metavar="AGE",
        help="those used since then stay, whatever else is said (default: 1h)",
    )
    pruning.add_argument("--dry-run", action="store_true", help="only tell what would be removed")


def _run(options: argparse.Namespace) -> Result:
    chosen = settings.choose(host=options.host, transport=options.transport)
    pruning = options.action == "prune"
    grace = options.grace if pruning else 0.0
    retention = Retention(options.older_than, options.workspace, grace)
    if pruning and options.older_than is None and options.workspace is None:
        raise NothingToSelectBy()
    renderer = common.renderer(chosen, options)
    with closing(renderer), connect.open_programs(chosen, renderer) as programs:
        found = list_roots(programs, chosen.host)
        selected = retention.expired(found)
        if pruning and not _needed(options, chosen.host, programs):
            selected = ()
        if pruning and not options.dry_run:
            selected = remove_roots(programs, chosen.host, selected)
    return Result(
        "roots",
        {
            "host": chosen.host,
            "action": options.action,
            "removed": pruning and not options.dry_run,
            "roots": [_described(root, found) for root in selected],
        },
    )


def _needed(options: argparse.Namespace, host: str, programs: Programs) -> bool:
    """Whether there is too little room, if that is the condition. Raises `RootsUnreadable`."""
    if options.when_free_below is None:
        return True
    looked = programs.run(LOOK_COMMAND, waiting_for="a look at its disks")
    free = [disk.free_bytes for disk in disks(looked.stdout) if disk.folder == STORE_DIRECTORY]
    if not free:
        raise RootsUnreadable(host, looked.stderr or "nothing of its disks")
    return free[0] < int(options.when_free_below)


def _described(root: Root, found: Roots) -> dict[str, object]:
    return {
        "workspace": root.workspace,
        "package": root.package,
        "path": root.path,
        "last_used": root.last_used,
        "age": found.now - root.last_used,
    }


def _conclude(result: Result) -> str:
    roots = result.data["roots"]
    assert isinstance(roots, list)
    if result.data["removed"]:
        what = "removed"
    elif result.data["action"] == "prune":
        what = "would remove"
    else:
        what = "found"
    lines = [f"{what} {count_of(len(roots), 'root')} on {result.data['host']}"]
    lines += [
        f"  {format_age(root['age']):>5}  {root['workspace']}  {root['package']}  {root['path']}"
        for root in roots
    ]
    return "\n".join(lines)


COMMAND = Command(
    name="roots",
    summary="list or prune the durable roots on the server",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
)
