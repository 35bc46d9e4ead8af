"""Which Nix the servers of a test have: all in a thorough run, a selection in every run."""

from __future__ import annotations

import pytest

from lab.nix import Version


def server_versions(*every_run: Version) -> list[object]:
    """Parameters of a fixture: every version; those that are not named only with --thorough."""
    return [
        pytest.param(
            version,
            id=f"server-{version.value}",
            marks=() if version in every_run else pytest.mark.thorough,
        )
        for version in Version
    ]
