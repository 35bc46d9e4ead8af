"""The options that name a Remote Execution service, as Bazel has them, and what they mean."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final, Optional

from nix_remote.cli import options as common
from nix_remote.doctor.remote_execution import Executors, executors
from nix_remote.errors import InvalidSetting
from nix_remote.remote_execution.endpoint import Endpoint, check_url, headers, properties

_SECONDS: Final = 60.0


def add_url(parser: argparse._ActionsContainer) -> None:
    """`--remote-executor`."""
    parser.add_argument(
        "--remote-executor",
        metavar="URL",
        help="look on an executor of that Remote Execution service: grpc://HOST:PORT, or grpcs://",
    )


def add_details(parser: argparse.ArgumentParser) -> None:
    """What else there is to say of the service; as Bazel's options of the same names."""
    group = parser.add_argument_group("with --remote-executor")
    group.add_argument(
        "--remote-instance-name", default="", metavar="NAME", help="which instance of it"
    )
    group.add_argument(
        "--exec-property",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the executor must have, as remote_default_exec_properties; again for more",
    )
    group.add_argument(
        "--remote-header",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what goes with every request: a token, for instance; again for more",
    )
    group.add_argument(
        "--tls-certificate",
        type=Path,
        metavar="FILE",
        help="who certifies the service (PEM), if the usual authorities do not",
    )
    group.add_argument(
        "--remote-timeout",
        type=common.duration,
        default=_SECONDS,
        metavar="TIME",
        help=f"how long an executor may take ({_SECONDS:g}s)",
    )


def chosen(options: argparse.Namespace) -> Optional[Executors]:
    """The executors that the options name, if they name any. Raises `UsageError`."""
    if options.remote_executor is None:
        return None
    return executors(
        Endpoint(
            check_url(options.remote_executor),
            options.remote_instance_name,
            properties(options.exec_property),
            headers(options.remote_header),
            _authority(options.tls_certificate),
            options.remote_timeout,
        )
    )


def _authority(file: Optional[Path]) -> Optional[bytes]:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        expected = f"a file of certificates: {error.strerror or error}"
        raise InvalidSetting("--tls-certificate", str(file), expected) from None
