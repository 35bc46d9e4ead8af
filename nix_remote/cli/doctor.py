"""`nix-remote doctor`: looks at everything between here and an executor."""

from __future__ import annotations

import argparse
import getpass
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Final

from nix_remote import settings
from nix_remote.cli import options as common
from nix_remote.cli.command import Command
from nix_remote.cli.result import Result
from nix_remote.doctor.examine import Patient, examine
from nix_remote.doctor.finding import Status

_DESCRIPTION = """\
Looks at every layer between here and an executor: SSH, Nix on the server, trust, roots, disk,
the export of the store, and what Bazel is told. Each line has a tick, or a cross and the command
that fixes it. Ends with 1 if there is a cross."""

_MARKS: Final = {
    Status.OK.value: "✓",
    Status.WARNING.value: "!",
    Status.BROKEN.value: "✗",
    Status.UNKNOWN.value: "-",
}
FOUND_BROKEN: Final = 1
"""Exit status: the looks were taken, and something is broken."""


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
        "--on-executor",
        action="store_true",
        help="print a Python program for an executor that looks at its mount",
    )


def _run(options: argparse.Namespace) -> Result:
    if options.on_executor:
        program = resources.files("nix_remote.doctor").joinpath("on_executor.py").read_text()
        return Result("doctor", {"program": program})
    chosen = settings.choose(
        host=options.alias or options.host,
        transport=options.transport,
        sign_key_file=options.sign_key,
    )
    found = examine(
        Patient(
            chosen,
            common.signing_key(chosen.sign_key_file),
            getpass.getuser(),
            (options.workspace or Path.cwd()).absolute(),
            exported=not options.not_exported,
        )
    )
    findings = [{**asdict(each), "status": each.status.value} for each in found]
    broken = any(each.status is Status.BROKEN for each in found)
    data = {"host": chosen.host, "findings": findings}
    return Result("doctor", data, exit_status=FOUND_BROKEN if broken else 0)


def _output(result: Result) -> str:
    if "program" in result.data:
        return str(result.data["program"])
    findings = result.data["findings"]
    assert isinstance(findings, list)
    lines = []
    for each in findings:
        lines.append(
            f"{_MARKS[each['status']]} {each['layer']:<5}  {each['subject']}: {each['text']}"
        )
        lines += [f"           fix: {line}" for line in each["fix"].splitlines()]
    return "\n".join(lines) + "\n"


def _conclude(result: Result) -> str:
    if "program" in result.data:
        return ""
    findings = result.data["findings"]
    assert isinstance(findings, list)
    counts = dict.fromkeys(_MARKS, 0)
    for each in findings:
        counts[each["status"]] += 1
    return f"{result.data['host']}: " + ", ".join(
        f"{counts[status]} {mark}" for status, mark in _MARKS.items() if counts[status]
    )


COMMAND = Command(
    name="doctor",
    summary="look at every layer between here and an executor, and name the fixes",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
    output=_output,
)
