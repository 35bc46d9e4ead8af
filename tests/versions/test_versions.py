"""Behaviour that depends on Python or a library, in each combination, at a real sshd."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import nix, remote_execution, sshd
from lab.lab import ACCOUNT, ALIAS, Lab
from tests.compatibility.recording import Recorder
from tests.versions.conftest import CONFIG, KEY_TYPES, POOL, Tried

# The first test of a Python builds its root tree.
pytestmark = pytest.mark.timeout(1800)

_OF_LIBRARIES = (
    *("ssh/test_certificates.py", "ssh/test_choose.py", "ssh/test_host_keys.py"),
    *("ssh/test_key_files.py", "ssh/test_login.py", "ssh/test_paramiko_transport.py"),
    *("remote_execution/test_service.py", "setup/test_ssh_entry.py", "local/test_signing.py"),
)
"""The unit tests of what uses a library."""
_OF_THE_REPOSITORY = (
    "test_bazel_reference.py",
    "test_docs.py",
    "test_host_keys_are_checked.py",
    "test_requirements.py",
)
"""Those that look at the whole repository, and not at the copier."""


def observe(tried: Tried, compatibility: Recorder, what: str) -> None:
    """Notes what a test shows of the combination."""
    cell = tried.cell
    libraries = f"paramiko {cell.paramiko}, cryptography {cell.cryptography}"
    compatibility("Python", cell.python, what, variant=libraries)


def test_the_libraries_are_those_of_the_combination(tried: Tried) -> None:
    program = (
        "import sys; from importlib.metadata import version as v;"
        "print('%d.%d' % sys.version_info[:2], v('paramiko'), v('cryptography'))"
    )
    told = tried.host.run([tried.python, "-c", program]).check().stdout.split()
    assert told == [tried.cell.python, tried.cell.paramiko, tried.cell.cryptography]


@pytest.mark.thorough
def test_the_unit_tests_pass(tried: Tried, compatibility: Recorder) -> None:
    which = "the unit tests" if tried.cell.is_newest else "the unit tests of what uses libraries"
    observe(tried, compatibility, which)
    left_out = [f"--ignore=tests/unit/{file}" for file in _OF_THE_REPOSITORY]
    chosen = [f"tests/unit/{each}" for each in _OF_LIBRARIES]
    words = ["tests/unit", *left_out] if tried.cell.is_newest else chosen
    pytest_ = [tried.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=900"]
    # What a library says of its own future is no fault of the copier's.
    command = [*pytest_, "-o", "filterwarnings=", "--tb=short", *words]
    env = {
        **tried.environment,
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
        "PYTHONPYCACHEPREFIX": "/var/cache/tests",
    }
    script = ["bash", "-c", 'cd /src/nix_remote && exec "$@"', "bash", *command]
    done = tried.host.run(script, env=env, timeout=1700)
    assert done.status == 0, done.text[-6000:]


@pytest.mark.parametrize("transport", ["paramiko", "openssh"])
def test_a_path_is_copied(tried: Tried, lab: Lab, transport: str, compatibility: Recorder) -> None:
    observe(tried, compatibility, "copies")
    path = tried.new_path()
    told = tried.copy("-v", f"--transport={transport}", path).check().stderr
    assert "Warning" not in told
    assert f"connected to {ALIAS}: {transport}, " in told
    assert nix.is_valid(lab.server, path)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_another_key_logs_in_over_paramiko(tried: Tried, lab: Lab, kind: str) -> None:
    path = tried.new_path()
    tried.copy("--transport=paramiko", path, alias=f"by-{kind}").check()
    assert nix.is_valid(lab.server, path)


def test_an_action_sees_what_was_copied(tried: Tried, lab: Lab) -> None:
    path = tried.new_path()
    tried.copy(path).check()
    url = f"grpc://{lab.service.address}:{remote_execution.PORT}"
    words = ["verify", "--json", f"--remote-executor={url}", f"--exec-property=pool={POOL}", path]
    found: list[dict[str, Any]] = json.loads(tried.run(*words).check().stdout)["data"]["findings"]
    assert {each["subject"]: each["status"] for each in found}[path] == "ok"


def test_an_entry_is_written_into_the_ssh_config(tried: Tried, lab: Lab) -> None:
    before = tried.host.read(CONFIG)
    where = [f"--hostname={lab.server.address}", f"--port={sshd.PORT}", f"--user={ACCOUNT}"]
    tried.run("setup", "ssh", "fresh", *where, "--write").check()
    assert "Host fresh\n" in tried.host.read(CONFIG)
    tried.host.write(CONFIG, before, mode="600")
