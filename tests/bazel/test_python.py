"""The copier's Python: which one is used, and the errors for unusable ones."""

from __future__ import annotations

import uuid
from typing import Iterator, Mapping, Optional

import pytest

from lab.host import Host
from tests.bazel.project import Mode, Project, new_package

pytestmark = [
    pytest.mark.timeout(180),
    # The same repository rule in both modes.
    pytest.mark.parametrize("project", [Mode.WORKSPACE], indirect=True, ids=["workspace"]),
]


def _failure(
    project: Project, python: Optional[str], env: Optional[Mapping[str, str]] = None
) -> str:
    """The output of a failed set-up of Python in this environment."""
    package = new_package()
    project.declare(package)
    # A new name, so that the Python of an earlier fetch does not count.
    host = f"host-{uuid.uuid4().hex[:8]}"
    variables = {"NIX_REMOTE_PYTHON": python or "", **(env or {})}
    failed = project.fetch(package, host=host, env=variables)
    assert failed.status != 0
    assert "\n  Why: " in failed.stderr
    assert "\n  Fix: " in failed.stderr
    return failed.stderr


def test_the_chosen_interpreter_runs_the_copier(project: Project) -> None:
    package = new_package()
    project.declare(package)
    before = len(project.python.copies())
    project.fetch(package).check()
    assert len(project.python.copies()) == before + 1
    folder = project.workspace.repositories()["nix_remote_python"]
    assert project.workspace.host.run(["test", "-e", f"{folder}/venv"]).status == 1


def test_a_relative_path_is_refused(project: Project) -> None:
    assert "cannot use NIX_REMOTE_PYTHON=python3." in _failure(project, "python3")


def test_a_missing_interpreter_is_named(project: Project) -> None:
    assert "cannot use the Python /nonexistent/python" in _failure(project, "/nonexistent/python")


def test_an_interpreter_without_the_modules_is_refused(project: Project) -> None:
    text = _failure(project, "/usr/bin/python3")
    assert "cannot use NIX_REMOTE_PYTHON=/usr/bin/python3" in text
    assert "No module named 'paramiko'" in text


def test_an_old_interpreter_is_refused(project: Project) -> None:
    # Today's, which says that it is 3.8: its last argument is the program it is given.
    pretend = 'import sys; sys.version_info = (3, 8); sys.version = "3.8.20"; exec(sys.argv[1])'
    script = f"#!/bin/sh\nfor last; do :; done\nexec /usr/bin/python3 -c '{pretend}' \"$last\"\n"
    project.workspace.host.write("/root/old-python", script, mode="755")
    text = _failure(project, "/root/old-python")
    assert "cannot use the Python /root/old-python" in text
    assert "| Python 3.8.20" in text


def test_paths_may_have_letters_of_any_language(project: Project) -> None:
    path = "/root/größe/пітон"
    host = project.workspace.host
    host.sh(f"mkdir -p /root/größe; cp {project.python.path} {path}")
    package = new_package()
    project.declare(package)
    before = len(project.python.copies())
    project.fetch(package, env={"NIX_REMOTE_PYTHON": path}).check()
    assert len(project.python.copies()) == before + 1


def test_no_python_on_the_path_is_explained(project: Project) -> None:
    folder = "/root/without-python"
    project.workspace.host.sh(
        f"mkdir -p {folder}; ln -sf /usr/bin/* {folder}; rm -f {folder}/python*"
    )
    text = _failure(project, None, {"PATH": folder})
    assert "found no python3 on PATH" in text
    assert "apt install" in text


@pytest.fixture
def without_venv(workstation: Host) -> Iterator[None]:
    """Debian without the package python3-venv."""
    (folder,) = workstation.sh("echo /usr/lib/python3.*/ensurepip").split()
    workstation.sh(f"mv {folder} {folder}.away")
    yield
    workstation.sh(f"mv {folder}.away {folder}")


@pytest.mark.usefixtures("without_venv")
def test_a_missing_venv_module_is_explained(project: Project) -> None:
    text = _failure(project, None)
    assert "could not create a virtual environment with /usr/bin/python3" in text
    assert "apt install python3-venv" in text


def test_a_failing_pip_is_explained(project: Project) -> None:
    # pip's own variables win over the lab's pip.conf, which has the right folder.
    text = _failure(project, None, {"PIP_FIND_LINKS": "/nonexistent"})
    assert "could not install paramiko and sshconf" in text
    assert "/nonexistent" in text
    assert "PIP_INDEX_URL" in text


def test_without_a_host_the_repository_is_empty(project: Project) -> None:
    project.declare()
    project.bazel("query", "@nix_remote_python//:all", host=None).check()
    folder = project.workspace.repositories()["nix_remote_python"]
    names = project.workspace.host.sh(f"ls {folder}").split()
    assert "BUILD.bazel" in names
    assert [name for name in names if not name.isupper() and "." not in name] == []


def test_editing_the_copier_copies_nothing_and_leaves_its_sources_alone(
    project: Project, workstation: Host
) -> None:
    sources = "/root/edited_nix_remote"
    workstation.sh(f"rm -rf {sources}; cp -r /src/nix_remote {sources}")
    workstation.sh(f"find {sources} -name __pycache__ -prune -exec rm -r {{}} +")
    option = project.override("nix_remote", sources)
    package = new_package()
    project.declare(package)
    project.fetch(package, option).check()
    before = project.python.copies()

    workstation.sh(f"echo '# edited' >> {sources}/nix_remote/__init__.py")
    project.fetch(package, option).check()

    assert project.python.copies() == before
    assert workstation.sh(f"find {sources} -name __pycache__") == ""
