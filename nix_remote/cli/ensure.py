"""`nix-remote ensure`: everything a workspace depends on is kept by the server, or is again."""

from __future__ import annotations

import argparse
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Iterable, Sequence

from nix_remote import output_base, private_key, settings
from nix_remote.agent import request_queue
from nix_remote.cli import options as common
from nix_remote.cli.command import Command
from nix_remote.cli.render import count_of
from nix_remote.cli.result import Result
from nix_remote.copy.engine import Check, CopyOptions, CopyResult
from nix_remote.copy.request import CopyRequest, durable_roots
from nix_remote.errors import (
    ContentsUnreadable,
    ManifestsUnusable,
    OutputBaseNotFound,
    PathNotValid,
)
from nix_remote.local.store import LocalStore
from nix_remote.manifests import Manifest
from nix_remote.server.stores.base import DurableRoot
from nix_remote.store.paths import StorePath
from nix_remote.store.plan import Reason
from nix_remote.text import PeerText

_DESCRIPTION = """\
Reads the manifests that fetches of this user left in a workspace's repositories. Asks each
server that --host or BAZEL_NIX_REMOTE names for everything that was copied to it, and sends
what has been lost since. Other hosts in manifests are named, and not connected to."""


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
    environment = settings.own_environment()
    hosts = settings.hosts(environment, host=options.host)
    base = options.output_base or output_base.of(options.workspace or Path.cwd())
    if base is None or not base.is_dir():
        raise OutputBaseNotFound(str(base or options.workspace or Path.cwd()))
    homes = private_key.homes(environment)
    found = output_base.find(base, private_key.keys(homes))
    done, gone = [], []
    for host in hosts:
        copied = [each for each in found.manifests if each.host == host]
        if copied:
            data, absent = _ensure(options, host, copied)
            done.append(data)
            gone += absent
    # After all others are taken care of.
    if found.unusable:
        raise ManifestsUnusable(found.unusable, _without_key(homes))
    if gone:
        raise PathNotValid(gone[0])
    data = {
        "output_base": str(base),
        "hosts": done,
        "not_copied": output_base.not_copied(base),
        "not_named": sorted({each.host for each in found.manifests} - set(hosts)),
    }
    return Result("ensure", data)


def _without_key(homes: Sequence[Path]) -> str:
    """Why no fetch of this user can be told from others; empty if it can."""
    try:
        private_key.own_key(homes)
    except private_key.KeyUnusable as error:
        return f"this user has no key to authenticate manifests with: {error}"
    return ""


def _ensure(
    options: argparse.Namespace, host: str, found: Iterable[Manifest]
) -> tuple[dict[str, object], list[StorePath]]:
    """What was checked on a server and what was lost; and what this machine does not have."""
    chosen = settings.choose(host=host, transport=options.transport)
    local = LocalStore(chosen.local_store)
    roots = list(dict.fromkeys(root for each in found for root in _roots(chosen, each)))
    absent = _not_valid(local, {root.path for root in roots})
    roots = [root for root in roots if root.path not in absent]
    tops = tuple(dict.fromkeys(root.path for root in roots))
    data: dict[str, object] = {"host": host, "roots": len(roots), "checked": 0, "lost": []}
    if roots:
        wanted = CopyRequest(
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


def _copy(
    options: argparse.Namespace, wanted: CopyRequest, roots: Sequence[DurableRoot]
) -> CopyResult:
    queue = request_queue.new_queue(wanted)
    with closing(common.renderer(wanted.settings, options)) as renderer:
        return queue.lead(queue.submit(roots, wanted.closure, wanted.options, renderer))


def _copy_options(options: argparse.Namespace) -> CopyOptions:
    """What to check, and what to send again.

    What is gone from the server's disk is sent again even without `--repair`: it is lost like
    what a collection has taken, and no action can have it open.
    """
    check = common.check(options, Check.EXISTENCE)
    return CopyOptions(check=check, replaced=common.replaced(options) | {Reason.ABSENT})


def _roots(chosen: settings.Settings, manifest: Manifest) -> Sequence[DurableRoot]:
    """The durable roots that the fetch made: computed, as it did."""
    of_fetch = replace(chosen, workspace=Path(manifest.workspace), package=manifest.package)
    return durable_roots(of_fetch, tuple(manifest.roots))


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
    not_named = result.data["not_named"]
    assert isinstance(hosts, list)
    assert isinstance(not_copied, list)
    assert isinstance(not_named, list)
    names = map(PeerText, not_copied)
    lines = [
        *(f"@{name} was fetched and not copied: see nix-remote doctor" for name in names),
        *(f"packages were copied to {host} as well, which was not named" for host in not_named),
    ]
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
