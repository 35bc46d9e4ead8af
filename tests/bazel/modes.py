"""The modes in which a Bazel test runs, for parametrization. Needs pytest."""

from __future__ import annotations

import pytest

from lab import bazel
from lab.host import Host
from tests.bazel.project import Mode

ONE_OF_MODES = pytest.mark.parametrize(
    "project",
    [
        pytest.param(Mode.BZLMOD, id="bzlmod"),
        pytest.param(
            (Mode.BZLMOD, bazel.Defaults.SEVEN), id="bzlmod-seven", marks=pytest.mark.thorough
        ),
        pytest.param(Mode.WORKSPACE, id="workspace", marks=pytest.mark.thorough),
    ],
    indirect=True,
)
"""For tests whose subject is the same in both modes: by default they run in one."""


def skip_unless_possible(mode: Mode, host: Host) -> None:
    """Skips the test where the host's Bazel cannot build a workspace of that mode."""
    if mode is Mode.WORKSPACE and not bazel.has_repositories(host):
        pytest.skip("with --bazel, what WORKSPACE files ask for is not there")
