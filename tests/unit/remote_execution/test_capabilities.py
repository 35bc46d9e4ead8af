"""What a service says that it can do, in every version of the API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nix_remote.remote_execution import capabilities
from nix_remote.remote_execution.messages import (
    SHA256,
    CacheCapabilities,
    ExecutionCapabilities,
    ServerCapabilities,
    Version,
)

BLAKE3 = 9
V2_0 = ServerCapabilities(
    CacheCapabilities((SHA256,)),
    ExecutionCapabilities(SHA256, True),
    low_api_version=Version(2),
    high_api_version=Version(2),
)
V2_3 = ServerCapabilities(
    CacheCapabilities((BLAKE3, SHA256)),
    ExecutionCapabilities(BLAKE3, True, (BLAKE3, SHA256)),
    low_api_version=Version(2, 3),
    high_api_version=Version(2, 12),
)
SILENT = ServerCapabilities(execution_capabilities=ExecutionCapabilities(exec_enabled=True))


@pytest.mark.parametrize("reported", [V2_0, V2_3, SILENT])
def test_every_version_2_will_do(reported: ServerCapabilities) -> None:
    assert capabilities.unsupported_reason(reported) == ""


@pytest.mark.parametrize(
    ("reported", "text"),
    [
        (V2_0, "it supports versions 2.0 to 2.0 of the API"),
        (V2_3, "it supports versions 2.3 to 2.12 of the API, so it rejects Bazel 7"),
        (
            replace(V2_3, deprecated_api_version=Version(2, 0)),
            "it supports versions 2.0 to 2.12 of the API",
        ),
        (SILENT, "it does not announce which versions of the API it supports"),
    ],
)
def test_the_versions_are_told(reported: ServerCapabilities, text: str) -> None:
    assert str(capabilities.of(reported)) == text


@pytest.mark.parametrize(
    ("reported", "why"),
    [
        (replace(V2_0, execution_capabilities=ExecutionCapabilities()), "does not run actions"),
        (replace(V2_0, cache_capabilities=CacheCapabilities((BLAKE3,))), "accept SHA-256"),
        (
            replace(V2_3, execution_capabilities=ExecutionCapabilities(BLAKE3, True, (BLAKE3,))),
            "SHA-256 for actions",
        ),
        (
            replace(V2_3, low_api_version=Version(3), high_api_version=Version(3, 1)),
            "it supports versions 3.0 to 3.1 of the API, so it rejects Bazel 7; "
            "nix-remote supports version 2",
        ),
        (replace(V2_0, low_api_version=Version(1), high_api_version=Version(1, 1)), "1.0 to 1.1"),
    ],
)
def test_what_cannot_run_a_look_is_refused(reported: ServerCapabilities, why: str) -> None:
    assert why in capabilities.unsupported_reason(reported)
