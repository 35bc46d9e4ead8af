"""SSH configs are read as by `ssh -G`, old and new, file by file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab import sshd
from lab.lab import Lab
from lab.nix import Version

_FOLDER = Path(__file__).parent / "ssh_config"
_PYTHON = "/opt/nix-remote/bin/python"
_SCRIPT = "/src/nix_remote/tests/integration/ssh_config_answers.py"

Answers = list[dict[str, Any]]


@pytest.fixture(scope="module", params=list(Version), ids=lambda version: version.name)
def answers(request: pytest.FixtureRequest, lab: Lab) -> Answers:
    """The answers of both for every file, by the OpenSSH of every workstation."""
    host = lab.workstation_with(request.param)
    sshd.add_account(host, "configs")
    name = f"{lab.server.address} nix-server.lab.test. nix-server.lab.test"
    host.sh(f"grep -q lab.test /etc/hosts || echo '{name}' >> /etc/hosts")
    host.sh("grep -qs ^ssh /etc/services || echo 'ssh 22/tcp' >> /etc/services")
    host.sh("cp -a /etc/ssh /root/etc-ssh; mkdir -p /etc/ssh/more; chown -R configs: /etc/ssh")
    try:
        command = [_PYTHON, "-X", "pycache_prefix=/tmp/configs", _SCRIPT]
        folder = "/src/nix_remote/tests/integration/ssh_config"
        done = host.run([*command, folder], user="configs", timeout=100).check()
    finally:
        host.sh("rm -rf /etc/ssh; mv /root/etc-ssh /etc/ssh")
    found: Answers = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", sorted(file.stem for file in _FOLDER.glob("*.conf")))
def test_a_config_means_to_us_what_it_means_to_ssh(answers: Answers, name: str) -> None:
    for answer in answers:
        if answer["file"] != name:
            continue
        if name.endswith("-is-left-to-ssh"):
            # A directive that we do not know may be one that a newer ssh does.
            assert answer["ssh"] is None
            assert answer["left_to_ssh"]
        else:
            assert answer["ours"] == answer["ssh"], answer["alias"]
            assert (answer["ssh"] is None) == name.endswith("-is-an-error")


def test_tokens_are_filled_in_as_ssh_does(answers: Answers) -> None:
    used = [answer for answer in answers if "used" in answer]
    assert len(used) >= 15
    for answer in used:
        assert answer["used"]["ours"] == answer["used"]["ssh"], answer["file"]


def test_there_is_something_to_compare(answers: Answers) -> None:
    assert len({answer["file"] for answer in answers}) >= 80
    assert len(answers) >= 140
