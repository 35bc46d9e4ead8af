"""`nix-remote copy`: copies the closure of store paths to the Nix server, and keeps it there."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Final, Optional

from nix_remote import settings
from nix_remote.agent import leading, request_queue, thin_client
from nix_remote.agent.thin_client import framing, leadership
from nix_remote.cli import client_invocation, copy_options
from nix_remote.cli import options as common
from nix_remote.cli.command import Answered, Command
from nix_remote.cli.render import count_of, format_bytes
from nix_remote.cli.result import CopyData, Result

_SUBSTITUTE_SECONDS: Final = 60.0

_DESCRIPTION = """\
Copies the closure of store paths to the Nix server; sends only the missing paths.
When it exits with 0, every path of the closure is valid on the server, a durable root that
belongs to the workspace keeps it from the garbage collector, and executors see it."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    common.add_paths(parser)
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="DIR",
        help="the workspace that needs the paths; part of their roots' names"
        " (default: this folder)",
    )
    parser.add_argument(
        "--package",
        metavar="NAME",
        help="the paths' name in the workspace; part of their roots' names and of every line",
    )
    parser.add_argument(
        "--substitute",
        action="store_true",
        help="let the server substitute paths from its binary caches before anything is sent",
    )
    parser.add_argument(
        "--substitute-timeout",
        type=common.seconds,
        default=_SUBSTITUTE_SECONDS,
        metavar="SECONDS",
        help="limit for --substitute; paths that are missing then are sent (default: %(default)g)",
    )
    common.add_check(parser)
    common.add_repair(parser)
    common.add_transport(parser)
    common.add_settle(parser)
    parser.add_argument(
        "--sign-key",
        type=Path,
        metavar="FILE",
        help="sign paths with this Nix secret key, so that the server accepts them from an account"
        " that is not a trusted user (default: NIX_REMOTE_SIGN_KEY_FILE)",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="write a manifest of the copied paths, for `nix-remote ensure`",
    )
    parser.add_argument(
        "--no-agent",
        action="store_true",
        help="neither use an agent nor serve other invocations",
    )
    parser.add_argument("--lead", help=argparse.SUPPRESS)


def _run(options: argparse.Namespace) -> Result[CopyData]:
    request = copy_options.prepare(options, settings.own_environment(), str(settings.own_folder()))
    lead = _lead(options)
    queue = request_queue.new_queue(request)
    renderer = common.renderer(request.settings, options)
    parse = client_invocation.parse_with(COMMAND)
    with leading.serving(parse, request, queue, lead), closing(renderer):
        pending = queue.submit(request.roots, request.closure, request.options, renderer)
        done = queue.lead(pending, request.settings.settle)
    return copy_options.result(request, done)


def _lead(options: argparse.Namespace) -> Optional[leadership.Lead]:
    """The lead, if this process has it; None if it has to copy alone. Raises `Answered`."""
    try:
        if options.lead is not None:
            return leadership.taken_over(options.lead)
        if not thin_client.wanted(options.arguments):
            return None
        outcome = thin_client.obtain(options.arguments)
    except framing.Unusable:
        return None
    if isinstance(outcome, int):
        raise Answered(outcome)
    return outcome


def _conclude(data: CopyData) -> str:
    if not data["sent"]:
        return ""
    paths, size = count_of(len(data["sent"]), "path"), format_bytes(data["sent_bytes"])
    return f"sent {paths} ({size}) to {data['host']}"


COMMAND = Command(
    name="copy",
    summary="copy the closure of store paths to the Nix server, and keep it there",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
)
