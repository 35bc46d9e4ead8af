"""What services and Git hooks run is there, in the versions that tools/test has."""

import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.stem))
def test_a_workflow_runs_programs_of_this_repository(file: Path) -> None:
    jobs = yaml.safe_load(file.read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands
    for command in commands:
        program = ROOT / command.removeprefix("sudo ").split()[0]
        assert os.access(program, os.X_OK), command


def test_hooks_use_the_buildifier_that_the_check_uses() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff-format", "ruff-check", "mypy", "buildifier"]
    installed = re.findall(r"@bazel/buildifier@[0-9.]+", (ROOT / "tools" / "test").read_text())
    assert hooks[-1]["additional_dependencies"] == installed


def test_the_version_of_bazel_is_the_one_that_is_tested() -> None:
    version = (ROOT / ".bazelversion").read_text().strip()
    assert f"is tested with Bazel {version}" in (ROOT / "docs" / "bazel.md").read_text()
