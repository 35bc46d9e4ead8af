"""The options that name a Remote Execution service; their names are those of Bazel's options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final, Optional

from nix_remote import settings
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
        help="check in an action of that Remote Execution service: grpc://HOST:PORT, or grpcs://",
    )


def add_details(parser: argparse.ArgumentParser) -> None:
    """The other options of the service, which mean the same as in Bazel."""
    group = parser.add_argument_group("with --remote-executor")
    group.add_argument(
        "--remote-instance-name", default="", metavar="NAME", help="instance of the service"
    )
    group.add_argument(
        "--exec-property",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="platform property of the action, as remote_default_exec_properties; repeatable",
    )
    group.add_argument(
        "--remote-header",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="header of every request, for example a token; repeatable",
    )
    group.add_argument(
        "--tls-certificate",
        type=Path,
        metavar="FILE",
        help="certificate authority of the service (PEM), if the system's are not enough",
    )
    group.add_argument(
        "--remote-timeout",
        type=common.duration,
        default=_SECONDS,
        metavar="TIME",
        help=f"limit for the action (default: {_SECONDS:g}s)",
    )


def chosen(options: argparse.Namespace) -> Optional[Executors]:
    """The executors of the service that the options name; None without a service.

    `options` include `--settle`. Raises `UsageError`.
    """
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
        ),
        settings.settle_time(chosen=options.settle),
    )


def _authority(file: Optional[Path]) -> Optional[bytes]:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        expected = f"a file of certificates: {error.strerror or error}"
        raise InvalidSetting("--tls-certificate", str(file), expected) from None
