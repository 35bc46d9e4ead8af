"""`nix-remote copy`: makes the Nix server keep the closure of store paths."""

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
from nix_remote.cli.result import Result

_SUBSTITUTE_SECONDS: Final = 60.0

_DESCRIPTION = """\
Copies the closure of store paths to the Nix server: only what is missing there.
When it exits with 0, every path of the closure is valid on the server and kept
from garbage collection by a root that belongs to the workspace."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    common.add_paths(parser)
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="DIR",
        help="the workspace that needs the paths; names their roots (default: this folder)",
    )
    parser.add_argument(
        "--package",
        metavar="NAME",
        help="what the paths are called there; names their roots, and begins every line",
    )
    parser.add_argument(
        "--substitute",
        action="store_true",
        help="let the server look in its own caches before anything is sent",
    )
    parser.add_argument(
        "--substitute-timeout",
        type=common.seconds,
        default=_SUBSTITUTE_SECONDS,
        metavar="SECONDS",
        help="how long it may take; what it has not got then is sent (default: %(default)g)",
    )
    common.add_check(parser)
    common.add_repair(parser)
    common.add_transport(parser)
    parser.add_argument(
        "--sign-key",
        type=Path,
        metavar="FILE",
        help="sign what is sent with this secret key of Nix's, so that the server takes it from"
        " an account that it does not trust (default: NIX_REMOTE_SIGN_KEY_FILE)",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="note there what was copied, for `nix-remote ensure`",
    )
    parser.add_argument(
        "--no-agent",
        action="store_true",
        help="neither ask an agent nor serve other invocations meanwhile",
    )
    parser.add_argument("--lead", help=argparse.SUPPRESS)


def _run(options: argparse.Namespace) -> Result:
    request = copy_options.prepare(options, settings.own_environment(), str(settings.own_folder()))
    lead = _lead(options)
    queue = request_queue.new_queue(request)
    renderer = common.renderer(request.settings, options)
    parse = client_invocation.parse_with(COMMAND)
    with leading.serving(parse, request, queue, lead), closing(renderer):
        pending = queue.submit(request.roots, request.closure, request.options, renderer)
        done = queue.lead(pending)
    return copy_options.result(request, done)


def _lead(options: argparse.Namespace) -> Optional[leadership.Lead]:
    """The lead, if we have it; None if we are to do it alone. Raises `Answered`."""
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


def _conclude(result: Result) -> str:
    sent = result.data["sent"]
    sent_bytes = result.data["sent_bytes"]
    assert isinstance(sent, list)
    assert isinstance(sent_bytes, int)
    if not sent:
        return ""
    return (
        f"sent {count_of(len(sent), 'path')} ({format_bytes(sent_bytes)}) to {result.data['host']}"
    )


COMMAND = Command(
    name="copy",
    summary="make the Nix server keep the closure of store paths",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
)
