"""`nix-remote doctor`: looks at everything between here and an executor."""

from __future__ import annotations

import argparse
import getpass
from dataclasses import replace
from pathlib import Path
from typing import Final

from nix_remote import settings
from nix_remote.agent import lifecycle
from nix_remote.agent.thin_client import connecting, framing
from nix_remote.cli import findings, remote_executor
from nix_remote.cli import options as common
from nix_remote.cli.command import Command
from nix_remote.cli.result import Result
from nix_remote.doctor import executor
from nix_remote.doctor.finding import Finding, ok, warning
from nix_remote.doctor.run import Target, examine

_DESCRIPTION = """\
Looks at every layer between here and an executor: SSH, Nix on the server, trust, roots, disk,
the export of the store, and what Bazel is told. Each line has a tick, or a cross and the command
that fixes it. Ends with 1 if there is a cross."""


_PATIENCE: Final = 20.0
"""Seconds without any movement: who asks what is wrong does not wait for ten minutes."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", nargs="?", metavar="HOST", help="the Nix server, as for --host")
    common.add_transport(parser)
    parser.add_argument(
        "--sign-key",
        type=Path,
        metavar="FILE",
        help="sign with this key, as copies do (default: NIX_REMOTE_SIGN_KEY_FILE)",
    )
    parser.add_argument(
        "--workspace", type=Path, metavar="DIR", help="the Bazel workspace (default: this folder)"
    )
    parser.add_argument(
        "--not-exported",
        action="store_true",
        help="executors do not mount this server's store over NFS: do not look for its export",
    )
    parser.add_argument(
        "--executor", metavar="ALIAS", help="log in to that executor, and look at its mount, too"
    )
    parser.add_argument(
        "--on-executor",
        action="store_true",
        help="print a Python program for an executor that looks at its mount",
    )
    remote_executor.add_url(parser)
    remote_executor.add_details(parser)


def _run(options: argparse.Namespace) -> Result:
    if options.on_executor:
        return Result("doctor", {"program": executor.program()})
    chosen = settings.choose(
        host=options.alias or options.host,
        transport=options.transport,
        sign_key_file=options.sign_key,
    )
    found = examine(
        Target(
            replace(chosen, stall_timeout=min(chosen.stall_timeout, _PATIENCE)),
            common.signing_key(chosen.sign_key_file),
            getpass.getuser(),
            (options.workspace or Path.cwd()).absolute(),
            exported=not options.not_exported,
            executors=remote_executor.chosen(options),
        )
    )
    found.append(_agent())
    if options.executor is not None:
        found += executor.examine(settings.choose(host=options.executor))
    return findings.result("doctor", chosen.host, found)


def _agent() -> Finding:
    """Whether one copies for all. None is no fault; one that cannot be used costs every build."""
    try:
        status = lifecycle.query_status(connecting.folder())
    except (framing.Unusable, framing.Lost) as error:
        fix = "remove what is in its place, or: nix-remote agent stop"
        return warning("here", "agent", f"it cannot be used: {error}", fix)
    if status is None:
        return ok("here", "agent", "none runs; nix-remote agent start saves logins")
    return ok("here", "agent", "one runs, and copies for all")


def _output(result: Result) -> str:
    if "program" in result.data:
        return str(result.data["program"])
    return findings.output(result)


def _conclude(result: Result) -> str:
    if "program" in result.data:
        return ""
    return findings.conclude(result)


COMMAND = Command(
    name="doctor",
    summary="look at every layer between here and an executor, and name the fixes",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
    output=_output,
)
