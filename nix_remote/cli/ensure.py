"""`nix-remote ensure`: makes the server keep all paths that a workspace's fetches have copied."""

from __future__ import annotations

import argparse
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Iterable, Sequence, TypedDict

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
Reads the manifests that this user's fetches have written to a workspace's external repositories.
Checks on each server of --host or BAZEL_NIX_REMOTE that it still keeps every path that was copied
to it, and sends lost paths again. Other hosts in manifests are listed, not connected to."""


class _HostData(TypedDict):
    host: str
    roots: int
    checked: int
    lost: list[str]


class HostData(_HostData, total=False):
    """The data of one server."""

    disk_not_checked: str
    """Why its disk was not checked."""


class EnsureData(TypedDict):
    """The data of all servers."""

    output_base: str
    hosts: list[HostData]
    not_copied: list[str]
    not_named: list[str]


def _add_options(parser: argparse.ArgumentParser) -> None:
    common.add_transport(parser)
    common.add_settle(parser)
    common.add_check(parser, Check.EXISTENCE)
    common.add_repair(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workspace", type=Path, metavar="DIR", help="the Bazel workspace (default: this folder)"
    )
    where.add_argument(
        "--output-base", type=Path, metavar="DIR", help="the output of `bazel info output_base`"
    )


def _run(options: argparse.Namespace) -> Result[EnsureData]:
    environment = settings.own_environment()
    hosts = settings.hosts(environment, host=options.host)
    base = options.output_base or output_base.of(options.workspace or Path.cwd())
    if base is None or not base.is_dir():
        raise OutputBaseNotFound(str(base or options.workspace or Path.cwd()))
    homes = private_key.homes(environment)
    found = output_base.find(base, private_key.keys(homes))
    done: list[HostData] = []
    gone: list[StorePath] = []
    for host in hosts:
        copied = [each for each in found.manifests if each.host == host]
        if copied:
            data, absent = _ensure(options, host, copied)
            done.append(data)
            gone += absent
    # Errors of single packages come after the check of all others.
    if found.unusable:
        raise ManifestsUnusable(found.unusable, _without_key(homes))
    if gone:
        raise PathNotValid(gone[0])
    return Result(
        "ensure",
        {
            "output_base": str(base),
            "hosts": done,
            "not_copied": list(output_base.not_copied(base)),
            "not_named": sorted({each.host for each in found.manifests} - set(hosts)),
        },
    )


def _without_key(homes: Sequence[Path]) -> str:
    """Why manifests of this user cannot be authenticated; empty if they can."""
    try:
        private_key.own_key(homes)
    except private_key.KeyUnusable as error:
        return f"this user has no key to authenticate manifests with: {error}"
    return ""


def _ensure(
    options: argparse.Namespace, host: str, found: Iterable[Manifest]
) -> tuple[HostData, list[StorePath]]:
    """Checks one server; also returns the paths that this machine no longer has."""
    chosen = settings.choose(host=host, transport=options.transport, settle=options.settle)
    local = LocalStore(chosen.local_store)
    roots = list(dict.fromkeys(root for each in found for root in _roots(chosen, each)))
    absent = _not_valid(local, {root.path for root in roots})
    roots = [root for root in roots if root.path not in absent]
    tops = tuple(dict.fromkeys(root.path for root in roots))
    data: HostData = {"host": host, "roots": len(roots), "checked": 0, "lost": []}
    if roots:
        wanted = CopyRequest(
            chosen, common.signing_key(chosen.sign_key_file), tops, _copy_options(options), None
        )
        try:
            result = _copy(options, wanted, roots)
        except ContentsUnreadable as error:
            if options.check is not None or options.repair:
                raise
            # Not requested explicitly: the account may have no right but to copy.
            data["disk_not_checked"] = error.why
            result = _copy(options, replace(wanted, options=CopyOptions()), roots)
        data["checked"], data["lost"] = len(result.closure), list(result.sent)
    return data, sorted(absent)


def _copy(
    options: argparse.Namespace, wanted: CopyRequest, roots: Sequence[DurableRoot]
) -> CopyResult:
    queue = request_queue.new_queue(wanted)
    with closing(common.renderer(wanted.settings, options)) as renderer:
        pending = queue.submit(roots, wanted.closure, wanted.options, renderer)
        return queue.lead(pending, wanted.settings.settle)


def _copy_options(options: argparse.Namespace) -> CopyOptions:
    """What to check, and which paths to send again.

    Paths that are missing from the server's disk are sent again even without `--repair`: they are
    lost like paths that the garbage collector has deleted, and no action can have them open.
    """
    check = common.check(options, Check.EXISTENCE)
    return CopyOptions(check=check, replaced=common.replaced(options) | {Reason.ABSENT})


def _roots(chosen: settings.Settings, manifest: Manifest) -> Sequence[DurableRoot]:
    """The durable roots that the fetch made, computed in the same way."""
    of_fetch = replace(chosen, workspace=Path(manifest.workspace), package=manifest.package)
    return durable_roots(of_fetch, tuple(manifest.roots))


def _not_valid(local: LocalStore, paths: Iterable[StorePath]) -> set[StorePath]:
    """The paths that are no longer valid in the local store."""
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


def _conclude(data: EnsureData) -> str:
    names, not_named = map(PeerText, data["not_copied"]), data["not_named"]
    lines = [
        *(f"@{name} was fetched but not copied: see nix-remote doctor" for name in names),
        *(f"not checked: {host}, to which packages were copied as well" for host in not_named),
    ]
    if not data["hosts"]:
        return "\n".join(["no package of this workspace has been copied yet", *lines])
    for each in data["hosts"]:
        lost = each["lost"]
        state = f"{count_of(len(lost), 'lost path')} sent again" if lost else "none was lost"
        lines.append(f"{each['host']} keeps {count_of(each['checked'], 'path')}; {state}")
        lines += [f"  {path}" for path in lost]
        if "disk_not_checked" in each:
            lines.append(f"  its disk was not checked: {each['disk_not_checked']}")
    return "\n".join(lines)


COMMAND = Command(
    name="ensure",
    summary="check that the server still keeps a workspace's paths, and send lost ones again",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
)
