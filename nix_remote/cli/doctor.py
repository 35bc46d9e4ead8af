"""`nix-remote doctor`: checks everything between this machine and an executor."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final, TypedDict, Union, final

from nix_remote import settings
from nix_remote.agent import lifecycle
from nix_remote.agent.thin_client import connecting, framing
from nix_remote.cli import findings, remote_executor
from nix_remote.cli import options as common
from nix_remote.cli.command import Command
from nix_remote.cli.findings import FindingsData
from nix_remote.cli.result import Result
from nix_remote.doctor import executor
from nix_remote.doctor.finding import Finding, ok, warning
from nix_remote.doctor.run import Target, examine

_DESCRIPTION = """\
Checks every layer between this machine and an executor: SSH, Nix on the server, trust, roots,
disk, the NFS export of the store, and Bazel's configuration. Each line has a tick, or a cross and
the command that fixes it. Exits with 1 if there is a cross."""

_STALL_TIMEOUT: Final = 20.0
"""Seconds without progress: shorter than that of a copy, since the user waits for an answer."""


@final
class _ProgramData(TypedDict):
    program: str


DoctorData = Union[_ProgramData, FindingsData]


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", nargs="?", metavar="HOST", help="the Nix server, as for --host")
    common.add_transport(parser)
    common.add_settle(parser)
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
        help="skip the NFS checks: executors do not mount this server's store",
    )
    parser.add_argument(
        "--executor", metavar="ALIAS", help="also log in to that executor and check its mount"
    )
    parser.add_argument(
        "--on-executor",
        action="store_true",
        help="print a Python program that checks the mount when run on an executor",
    )
    remote_executor.add_url(parser)
    remote_executor.add_details(parser)


def _run(options: argparse.Namespace) -> Result[DoctorData]:
    if options.on_executor:
        settle = settings.settle_time(chosen=options.settle)
        return Result("doctor", {"program": executor.program(settle)})
    chosen = settings.choose(
        host=options.alias or options.host,
        transport=options.transport,
        sign_key_file=options.sign_key,
    )
    found = examine(
        Target(
            replace(chosen, stall_timeout=min(chosen.stall_timeout, _STALL_TIMEOUT)),
            common.signing_key(chosen.sign_key_file),
            settings.user_name(chosen.environment),
            (options.workspace or Path.cwd()).absolute(),
            exported=not options.not_exported,
            executors=remote_executor.chosen(options),
        )
    )
    found.append(_agent())
    if options.executor is not None:
        found += executor.examine(settings.choose(host=options.executor, settle=options.settle))
    return Result("doctor", findings.data(chosen.host, found), findings.exit_status(found))


def _agent() -> Finding:
    """The state of the agent. None is not a fault; one that cannot be used slows every build."""
    try:
        status = lifecycle.query_status(connecting.folder())
    except (framing.Unusable, framing.Lost) as error:
        fix = "nix-remote agent stop, or remove the folder"
        return warning("here", "agent", f"it cannot be used: {error}", fix)
    if status is None:
        return ok("here", "agent", "not running; nix-remote agent start saves logins")
    return ok("here", "agent", "running")


def _output(data: DoctorData) -> str:
    if "program" in data:
        return data["program"]
    return findings.output(data)


def _conclude(data: DoctorData) -> str:
    if "program" in data:
        return ""
    return findings.conclude(data)


COMMAND = Command(
    name="doctor",
    summary="check every layer between this machine and an executor, and show the fixes",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
    output=_output,
)
