"""`nix-remote ensure`: everything a workspace depends on is kept by the server, or is again."""

from __future__ import annotations

import argparse
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Iterable, Sequence

from nix_remote import manifests, settings
from nix_remote.cli import options as common
from nix_remote.cli import order
from nix_remote.cli.command import Command
from nix_remote.cli.order import Order
from nix_remote.cli.render import count_of
from nix_remote.cli.result import Result
from nix_remote.copy.engine import Check, CopyOptions, CopyResult
from nix_remote.copy.plan import Reason
from nix_remote.errors import ContentsUnreadable, OutputBaseNotFound, PathNotValid
from nix_remote.local.store import LocalStore
from nix_remote.manifests import Manifest
from nix_remote.remote.gc_roots import asked_location
from nix_remote.remote.store import DurableRoot
from nix_remote.wire.types import StorePath

_DESCRIPTION = """\
Goes by what fetches have left in a workspace's repositories: asks each server, in one go, for
everything that was copied to it, and sends what has been lost since."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    common.add_transport(parser)
    common.add_check(parser, Check.EXISTENCE)
    common.add_repair(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workspace", type=Path, metavar="DIR", help="the Bazel workspace (default: this folder)"
    )
    where.add_argument(
        "--output-base", type=Path, metavar="DIR", help="what `bazel info output_base` says"
    )


def _run(options: argparse.Namespace) -> Result:
    base = options.output_base or manifests.output_base(options.workspace or Path.cwd())
    if base is None or not base.is_dir():
        raise OutputBaseNotFound(str(base or options.workspace or Path.cwd()))
    found = manifests.find(base)
    hosts = dict.fromkeys(each.host for each in found)
    if options.host is not None:
        hosts = {host: None for host in hosts if host == options.host}
    done, gone = [], []
    for host in hosts:
        data, absent = _ensure(options, host, [each for each in found if each.host == host])
        done.append(data)
        gone += absent
    if gone:
        # After all others are taken care of.
        raise PathNotValid(gone[0])
    not_copied = manifests.not_copied(base)
    return Result("ensure", {"output_base": str(base), "hosts": done, "not_copied": not_copied})


def _ensure(
    options: argparse.Namespace, host: str, found: Iterable[Manifest]
) -> tuple[dict[str, object], list[StorePath]]:
    """What was checked on a server and what was lost; and what this machine does not have."""
    chosen = settings.choose(host=host, transport=options.transport)
    local = LocalStore(chosen.local_store)
    roots = [
        DurableRoot(path, asked_location(made))
        for each in found
        for path, made in each.roots.items()
    ]
    roots = list(dict.fromkeys(roots))
    absent = _not_valid(local, {root.path for root in roots})
    roots = [root for root in roots if root.path not in absent]
    tops = tuple(dict.fromkeys(root.path for root in roots))
    data: dict[str, object] = {"host": host, "roots": len(roots), "checked": 0, "lost": []}
    if roots:
        wanted = Order(
            chosen, common.signing_key(chosen.sign_key_file), tops, _copy_options(options), None
        )
        try:
            result = _copy(options, wanted, roots)
        except ContentsUnreadable as error:
            if options.check is not None or options.repair:
                raise
            # Not asked for by name: the account may be allowed to copy and nothing else.
            data["disk_not_checked"] = error.why
            result = _copy(options, replace(wanted, options=CopyOptions()), roots)
        data |= {"checked": len(result.closure), "lost": list(result.sent)}
    return data, sorted(absent)


def _copy(options: argparse.Namespace, wanted: Order, roots: Sequence[DurableRoot]) -> CopyResult:
    line = order.new_line(wanted)
    with closing(common.renderer(wanted.settings, options)) as renderer:
        return line.lead(line.submit(roots, wanted.closure, wanted.options, renderer))


def _copy_options(options: argparse.Namespace) -> CopyOptions:
    """What to check, and what to send again.

    What is gone from the server's disk is sent again even without `--repair`: it is lost like
    what a collection has taken, and no action can have it open.
    """
    check = common.check(options, Check.EXISTENCE)
    return CopyOptions(check=check, replaced=common.replaced(options) | {Reason.GONE})


def _not_valid(local: LocalStore, paths: Iterable[StorePath]) -> set[StorePath]:
    """Those that the local store does not know any more."""
    paths = sorted(paths)
    with suppress(PathNotValid):
        local.closure(paths)
        return set()
    absent = set()
    for path in paths:
        try:
            local.closure([path])
        except PathNotValid:
            absent.add(path)
    return absent


def _conclude(result: Result) -> str:
    hosts, not_copied = result.data["hosts"], result.data["not_copied"]
    assert isinstance(hosts, list)
    assert isinstance(not_copied, list)
    lines = [f"@{name} was fetched and not copied: see nix-remote doctor" for name in not_copied]
    if not hosts:
        return "\n".join(["no package of this workspace has been copied yet", *lines])
    for each in hosts:
        lost = each["lost"]
        state = f"had lost {count_of(len(lost), 'path')}, sent again" if lost else "lost nothing"
        lines.append(f"{each['host']} keeps {count_of(each['checked'], 'path')}; it {state}")
        lines += [f"  {path}" for path in lost]
        if "disk_not_checked" in each:
            lines.append(f"  its disk was not checked: {each['disk_not_checked']}")
    return "\n".join(lines)


COMMAND = Command(
    name="ensure",
    summary="make sure that the server still keeps all that a workspace depends on",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
)
