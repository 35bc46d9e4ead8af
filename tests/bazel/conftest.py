"""Bazel on the lab's workstation, and a project for each way to declare dependencies."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Optional

import pytest

from lab import bazel
from lab.bazel import Defaults
from lab.host import Host
from lab.lab import Lab
from lab.other_bazel import OtherBazel
from tests.bazel.modes import skip_unless_possible
from tests.bazel.observed_python import ObservedPython
from tests.bazel.project import Mode, Project


@pytest.fixture(scope="session")
def workstation(lab: Lab, rules_nixpkgs: Path, other_bazel: Optional[OtherBazel]) -> Host:
    """The lab's workstation, with Bazel ready."""
    bazel.prepare(lab.workstation, lab.service, rules_nixpkgs, other_bazel)
    return lab.workstation


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(Mode.BZLMOD, id="bzlmod"),
        pytest.param((Mode.BZLMOD, Defaults.SEVEN), id="bzlmod-seven", marks=pytest.mark.thorough),
        pytest.param(Mode.WORKSPACE, id="workspace"),
    ],
)
def project(request: pytest.FixtureRequest, workstation: Host) -> Iterator[Project]:
    """A workspace for packages of a test's own; once for MODULE.bazel, once for WORKSPACE."""
    python = ObservedPython(workstation)
    python.install()
    chosen = request.param
    mode, defaults = chosen if isinstance(chosen, tuple) else (chosen, chosen.defaults)
    skip_unless_possible(mode, workstation)
    workspace = bazel.new_workspace(workstation, defaults=defaults)
    project = Project(workspace, mode, python)
    yield project
    project.workspace.shut_down()
