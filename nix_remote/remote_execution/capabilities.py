"""Checks that a service can run a probe, from the capabilities that it announces.

A probe works with every version 2 of the API: properties are in the action (2.2 and later) and in
the command (before), requests name their digest function (2.3 and later), and the output may be in
the reply or in a blob.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.remote_execution import messages
from nix_remote.remote_execution.messages import ServerCapabilities, Version

_MAJOR: Final = 2
_OF_BAZEL_7: Final = (2, 0)
"""The only version that Bazel 7 supports."""


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a service that matter for a probe."""

    lowest: Optional[tuple[int, int]]
    """The oldest version of the API that it supports; None: not announced."""
    highest: Optional[tuple[int, int]]

    def __str__(self) -> str:
        if self.lowest is None or self.highest is None:
            return "it does not announce which versions of the API it supports"
        supported = f"it supports versions {_text(self.lowest)} to {_text(self.highest)} of the API"
        return supported if self.lowest <= _OF_BAZEL_7 else f"{supported}, so it rejects Bazel 7"


def of(reported: ServerCapabilities) -> Capabilities:
    """The capabilities that a service announces."""
    # Deprecated versions are still supported.
    oldest = reported.deprecated_api_version
    lowest = oldest if oldest != Version() else reported.low_api_version
    return Capabilities(_numbers(lowest), _numbers(reported.high_api_version))


def unsupported_reason(reported: ServerCapabilities) -> str:
    """The reason why a service cannot run a probe; empty if it can."""
    if not reported.execution_capabilities.exec_enabled:
        return "it is a cache, and does not run actions"
    capabilities = of(reported)
    lowest, highest = capabilities.lowest, capabilities.highest
    if (lowest and lowest[0] > _MAJOR) or (highest and highest[0] < _MAJOR):
        return f"{capabilities}; nix-remote supports version {_MAJOR}"
    stored, executed = reported.cache_capabilities, reported.execution_capabilities
    if stored.digest_functions and messages.SHA256 not in stored.digest_functions:
        return "it does not accept SHA-256"
    functions = {executed.digest_function, *executed.digest_functions} - {messages.UNKNOWN}
    if functions and messages.SHA256 not in functions:
        return "it does not accept SHA-256 for actions"
    return ""


def _numbers(version: Version) -> Optional[tuple[int, int]]:
    return None if version == Version() else (version.major, version.minor)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
