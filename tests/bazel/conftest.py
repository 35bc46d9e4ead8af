"""Bazel on the lab's workstation, and a project for each way to declare dependencies."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from tests.bazel.observed_python import ObservedPython
from tests.bazel.project import Mode, Project
from tests.lab import bazel
from tests.lab.host import Host
from tests.lab.lab import Lab


@pytest.fixture(scope="session")
def workstation(lab: Lab, rules_nixpkgs: Path) -> Host:
    """The lab's workstation, with Bazel ready."""
    bazel.prepare(lab.workstation, lab.service, rules_nixpkgs)
    return lab.workstation


@pytest.fixture(scope="session", params=list(Mode), ids=lambda mode: str(mode.value))
def project(request: pytest.FixtureRequest, workstation: Host) -> Iterator[Project]:
    """A workspace for packages of a test's own; once for MODULE.bazel, once for WORKSPACE."""
    python = ObservedPython(workstation)
    python.install()
    project = Project(bazel.new_workspace(workstation), request.param, python)
    yield project
    project.workspace.shut_down()
