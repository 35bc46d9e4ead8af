"""From the options of `nix-remote copy` to a copy request, and from its outcome to a result."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Mapping, Optional

from nix_remote import manifests, private_key, settings
from nix_remote.cli import options as common
from nix_remote.cli.result import CopyData, Result, describe_copy
from nix_remote.copy.engine import CopyOptions, CopyResult
from nix_remote.copy.request import CopyRequest
from nix_remote.local.store import LocalStore
from nix_remote.manifests import Manifest


def prepare(
    options: argparse.Namespace, environment: Mapping[str, str], folder: str
) -> CopyRequest:
    """The copy request; relative names are relative to `folder`. Raises `NixRemoteError`."""
    chosen = settings.choose(
        environment,
        host=options.host,
        workspace=Path(folder) / (options.workspace or ""),
        package=options.package,
        transport=options.transport,
        sign_key_file=options.sign_key,
        settle=options.settle,
    )
    chosen = replace(
        chosen,
        ssh_config=chosen.ssh_config and folder / chosen.ssh_config,
        sign_key_file=chosen.sign_key_file and folder / chosen.sign_key_file,
    )
    local = LocalStore(chosen.local_store)
    return CopyRequest(
        settings=chosen,
        signing_key=common.signing_key(chosen.sign_key_file),
        tops=tuple(
            common.store_paths([os.path.join(folder, path) for path in options.paths], local)
        ),
        options=CopyOptions(
            substitute_seconds=options.substitute_timeout if options.substitute else None,
            check=common.check(options),
            replaced=common.replaced(options),
        ),
        manifest=options.manifest,
    )


def result(request: CopyRequest, done: CopyResult) -> Result[CopyData]:
    """The result of a finished copy."""
    data = describe_copy(request.settings.host, done)
    if request.manifest is None:
        return Result("copy", data)
    manifest = Manifest(
        host=request.settings.host,
        workspace=str(request.settings.workspace),
        package=request.settings.package,
        time=int(time.time()),
        roots=list(done.roots),
        paths=[info.path for info in done.closure],
    )
    key: Optional[bytes] = None
    # Without a key, `ensure` reports why it cannot use the manifest.
    with suppress(private_key.KeyUnusable):
        key = private_key.own_key(private_key.homes(request.settings.environment))
    return Result("copy", data, files={str(request.manifest): manifests.as_text(manifest, key)})
