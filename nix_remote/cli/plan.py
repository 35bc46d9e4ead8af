"""`nix-remote plan`: shows what a copy would send, and why. Sends nothing."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TypedDict

from nix_remote import settings
from nix_remote.cli import options as common
from nix_remote.cli.command import Command
from nix_remote.cli.render import count_of, format_bytes
from nix_remote.cli.result import Result
from nix_remote.copy.engine import plan_copy
from nix_remote.local.store import LocalStore
from nix_remote.server import connect
from nix_remote.server.stores.base import Question

_DESCRIPTION = """\
Shows which paths a copy of store paths would send, their size, and why. Sends nothing."""


class _PathData(TypedDict):
    path: str
    reason: str
    nar_size: int


class PlanData(TypedDict):
    """The data of a plan."""

    host: str
    paths: list[_PathData]
    missing_paths: int
    missing_bytes: int
    damaged_paths: int


def _add_options(parser: argparse.ArgumentParser) -> None:
    common.add_paths(parser)
    common.add_check(parser)
    common.add_transport(parser)


def _run(options: argparse.Namespace) -> Result[PlanData]:
    chosen = settings.choose(host=options.host, transport=options.transport)
    local = LocalStore(chosen.local_store)
    closure = local.closure(common.store_paths(options.paths, local))
    renderer = common.renderer(chosen, options)
    question = Question(tuple(info.path for info in closure))
    with closing(renderer), connect.open_store(chosen, renderer, question) as remote:
        valid = remote.ask(question)
        plan = plan_copy(closure, valid, remote, common.check(options))
    return Result(
        "plan",
        {
            "host": chosen.host,
            "paths": [
                {"path": one.info.path, "reason": one.reason.value, "nar_size": one.info.nar_size}
                for one in plan.paths
            ],
            "missing_paths": len(plan.missing),
            "missing_bytes": plan.missing_bytes,
            "damaged_paths": len(plan.damaged),
        },
    )


def _conclude(data: PlanData) -> str:
    paths, damaged = count_of(len(data["paths"]), "path"), data["damaged_paths"]
    size = format_bytes(data["missing_bytes"])
    lines = [f"{data['host']} lacks {data['missing_paths']} of {paths} ({size})"]
    if damaged:
        are = "is" if damaged == 1 else "are"
        lines.append(
            f"  {count_of(damaged, 'path')} {are} valid in its database, but missing or different"
            " on its disk: see nix-remote copy --repair"
        )
    lines += [
        f"  {one['reason']:<9}  {format_bytes(one['nar_size']):>10}  {one['path']}"
        for one in data["paths"]
    ]
    return "\n".join(lines)


COMMAND = Command(
    name="plan",
    summary="show what a copy would send, and why",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
)
