"""`nix-remote verify`: checks that paths are intact on the server, or visible on an executor."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from typing import Optional, Sequence

from nix_remote import events, settings
from nix_remote.cli import findings, remote_executor
from nix_remote.cli import options as common
from nix_remote.cli.command import Command
from nix_remote.cli.findings import FindingsData
from nix_remote.cli.result import Result
from nix_remote.doctor import executor
from nix_remote.doctor.finding import Finding, Status, broken, ok
from nix_remote.doctor.remote_execution import Executors
from nix_remote.local.store import LocalStore
from nix_remote.server import connect
from nix_remote.server.stores.base import Damage, Question
from nix_remote.server.verify import Damaged, damaged
from nix_remote.settings import Settings
from nix_remote.store.paths import PathInfo, StorePath

_DESCRIPTION = """\
Checks that store paths, with their closures, are intact: on the Nix server, whose Nix reads
them and compares their hashes; with --executor, on that machine, through its mount; or with
--remote-executor, in an action. Exits with 1 if a path is not intact."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    common.add_paths(parser)
    common.add_transport(parser)
    common.add_settle(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--server", action="store_true", help="check on the server (the default)")
    where.add_argument("--executor", metavar="ALIAS", help="check on that executor, over SSH")
    remote_executor.add_url(where)
    remote_executor.add_details(parser)


def _run(options: argparse.Namespace) -> Result[FindingsData]:
    executors = remote_executor.chosen(options)
    if executors is not None:
        local = LocalStore(settings.local_store())
        paths = [info.path for info in _closure(options, local)]
        found = _by_action(executors, paths, local)
        return findings.result("verify", executors.endpoint.url, found)
    chosen = settings.choose(
        host=options.executor or options.host, transport=options.transport, settle=options.settle
    )
    closure = _closure(options, LocalStore(chosen.local_store))
    if options.executor is not None:
        found = executor.examine(chosen, [info.path for info in closure])
    else:
        found = _on_server(chosen, closure, options.paths)
    return findings.result("verify", chosen.host, found)


def _closure(options: argparse.Namespace, local: LocalStore) -> list[PathInfo]:
    return local.closure(common.store_paths(options.paths, local))


def _by_action(
    executors: Executors, paths: Sequence[StorePath], local: LocalStore
) -> list[Finding]:
    found = executors.examine(paths, local.shells(paths))
    if any(each.layer == "path" for each in found):
        return found
    # Paths that could not be checked are not verified.
    return [
        replace(each, status=Status.BROKEN) if each.status is Status.UNKNOWN else each
        for each in found
    ]


def _on_server(
    chosen: Settings, closure: Sequence[PathInfo], wanted: Sequence[str]
) -> list[Finding]:
    question = Question(tuple(info.path for info in closure))
    connector = connect.new_connector(chosen)
    with connect.open_store(chosen, events.ignore, question, connector=connector) as store:
        valid = store.ask(question)
    with connect.open_remote_exec(chosen, events.ignore, connector=connector) as remote_exec:
        wrong = damaged(remote_exec, chosen.host, [info for info in closure if info.path in valid])
    copy = f"--host {shlex.quote(chosen.host)} {shlex.join(wanted)}"
    return [_judge(path, path in valid, wrong.get(path), copy) for path in question.paths]


def _judge(path: StorePath, valid: object, wrong: Optional[Damaged], copy: str) -> Finding:
    """`copy` is the arguments of a copy command for all requested paths."""
    if not valid:
        return broken("path", path, "not valid on the server", f"nix-remote copy {copy}")
    if wrong is not None:
        text = {
            Damage.ABSENT: "valid in the database, but missing from the disk",
            Damage.CHANGED: "the content differs from the registered hash",
        }[wrong.damage]
        fix = f"while no action uses it: nix-remote copy --repair {copy}"
        return broken("path", path, f"{text} ({wrong.message})", fix)
    return ok("path", path, "the content matches the registered hash")


COMMAND = Command(
    name="verify",
    summary="check that paths are intact on the server, or visible on an executor",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=findings.conclude,
    output=findings.output,
)
