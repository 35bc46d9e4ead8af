"""What a service says that it can do, and whether a look can be run with that.

A look uses nothing that any version 2 of the API lacks: properties stand in the action (2.2 and
later) and in the command (before), requests name their digest function (2.3 and later), and
output is taken as the service gives it, in the answer or as a blob.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.remote_execution import messages
from nix_remote.remote_execution.messages import ServerCapabilities, Version

_MAJOR: Final = 2
_OF_BAZEL_7: Final = (2, 0)
"""The only version that Bazel 7 speaks."""


@dataclass(frozen=True)
class Capabilities:
    """What a service can do, as far as it matters here."""

    lowest: Optional[tuple[int, int]]
    """The oldest version of the API that it speaks; None: it does not say."""
    highest: Optional[tuple[int, int]]

    def __str__(self) -> str:
        if self.lowest is None or self.highest is None:
            return "it does not say which versions of the API it speaks"
        spoken = f"it speaks versions {_text(self.lowest)} to {_text(self.highest)} of the API"
        return spoken if self.lowest <= _OF_BAZEL_7 else f"{spoken}, so it refuses Bazel 7"


def of(reported: ServerCapabilities) -> Capabilities:
    """What a service says of itself."""
    # What is deprecated is still spoken.
    oldest = reported.deprecated_api_version
    lowest = oldest if oldest != Version() else reported.low_api_version
    return Capabilities(_numbers(lowest), _numbers(reported.high_api_version))


def unsupported_reason(reported: ServerCapabilities) -> str:
    """Why a service cannot run a look; empty if it can."""
    if not reported.execution_capabilities.exec_enabled:
        return "it is a cache, and runs no actions"
    capabilities = of(reported)
    lowest, highest = capabilities.lowest, capabilities.highest
    if (lowest and lowest[0] > _MAJOR) or (highest and highest[0] < _MAJOR):
        return f"{capabilities}; nix-remote speaks version {_MAJOR}"
    stored, executed = reported.cache_capabilities, reported.execution_capabilities
    if stored.digest_functions and messages.SHA256 not in stored.digest_functions:
        return "it does not take SHA-256"
    functions = {executed.digest_function, *executed.digest_functions} - {messages.UNKNOWN}
    if functions and messages.SHA256 not in functions:
        return "it does not take SHA-256 for actions"
    return ""


def _numbers(version: Version) -> Optional[tuple[int, int]]:
    return None if version == Version() else (version.major, version.minor)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
