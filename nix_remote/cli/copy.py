"""`nix-remote copy`: makes the Nix server keep the closure of store paths."""

from __future__ import annotations

import argparse
import getpass
import platform
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Iterator, Optional

from nix_remote import events, settings
from nix_remote.cli import options as common
from nix_remote.cli.command import Command
from nix_remote.cli.render import count_of, format_bytes
from nix_remote.cli.result import Result, describe_copy
from nix_remote.copy.engine import Check, Copy, CopyOptions
from nix_remote.local.signing import SigningKey
from nix_remote.local.store import LocalStore
from nix_remote.remote import connect
from nix_remote.remote.gc_roots import Owner, location
from nix_remote.remote.signing_store import SigningStore
from nix_remote.remote.store import DurableRoot, Question, RemoteStore

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
        type=float,
        default=_SUBSTITUTE_SECONDS,
        metavar="SECONDS",
        help="how long it may take; what it has not got then is sent (default: %(default)g)",
    )
    common.add_check(parser)
    common.add_transport(parser)
    parser.add_argument(
        "--sign-key",
        type=Path,
        metavar="FILE",
        help="sign what is sent with this secret key of Nix's, so that the server takes it from"
        " an account that it does not trust (default: NIX_REMOTE_SIGN_KEY_FILE)",
    )


def _run(options: argparse.Namespace) -> Result:
    chosen = settings.choose(
        host=options.host,
        workspace=options.workspace,
        package=options.package,
        transport=options.transport,
        sign_key_file=options.sign_key,
    )
    key = common.signing_key(chosen.sign_key_file)
    local = LocalStore(chosen.local_store)
    tops = common.store_paths(options.paths, local)
    owner = Owner(platform.node(), getpass.getuser(), chosen.workspace.absolute())
    with closing(common.renderer(chosen, options)) as renderer:
        result = Copy(
            closure=local.closure(tops),
            roots=[DurableRoot(top, location(owner, chosen.package, top)) for top in tops],
            alias=chosen.host,
            local=local,
            open_remote=partial(_open, chosen, renderer, key),
            listener=renderer,
            options=CopyOptions(
                substitute_seconds=options.substitute_timeout if options.substitute else None,
                check=Check(options.check),
            ),
        ).run()
    return Result("copy", describe_copy(chosen.host, result))


@contextmanager
def _open(
    chosen: settings.Settings,
    listener: events.Listener,
    key: Optional[SigningKey],
    first: Question,
) -> Iterator[RemoteStore]:
    with connect.open_store(chosen, listener, first) as store:
        yield store if key is None else SigningStore(store, key)


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
