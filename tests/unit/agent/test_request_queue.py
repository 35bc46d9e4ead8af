"""What two copies must have in common to go over one connection."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

import pytest

from nix_remote.agent import request_queue
from nix_remote.agent.registry import QueueKey
from nix_remote.cli import copy, copy_options
from nix_remote.cli.command import add_command

_ENVIRONMENT = {"HOME": "/home/x", "PATH": "/bin:/usr/bin"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


def key(config: Path, host: str = "s", **variables: str) -> QueueKey:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(), copy.COMMAND)
    options = parser.parse_args(["copy", f"--host={host}", "unused"])
    options.paths = []
    environment: Mapping[str, str] = {
        **_ENVIRONMENT,
        "NIX_REMOTE_SSH_CONFIG": str(config),
        **variables,
    }
    return request_queue.key(copy_options.prepare(options, environment, "/"))


_DIRECT = "Host s\n HostName 127.0.0.1\n"
_STARTING = {
    "ProxyCommand": "Host s\n ProxyCommand proxy %h\n",
    "of a hop": "Host s\n ProxyJump hop\nHost hop\n ProxyCommand proxy %h\n",
    "of a hop's hop": "Host s\n ProxyJump hop\nHost hop\n ProxyJump far\n"
    "Host far\n ProxyCommand p\n",
    "KnownHostsCommand": "Host s\n KnownHostsCommand /bin/keys %H\n",
}


@pytest.mark.parametrize("text", _STARTING.values(), ids=_STARTING)
def test_where_programs_are_started_the_whole_environment_counts(config: Path, text: str) -> None:
    config.write_text(text)
    assert key(config, AWS_PROFILE="a") == key(config, AWS_PROFILE="a")
    assert key(config, AWS_PROFILE="a") != key(config, AWS_PROFILE="b")
    assert key(config, AWS_PROFILE="a") != key(config)
    assert key(config, PATH="/bin") != key(config)
    assert key(config, AWS_PROFILE="a").host == key(config, AWS_PROFILE="b").host


@pytest.mark.parametrize("text", _STARTING.values(), ids=_STARTING)
def test_variables_that_shells_set_for_themselves_do_not_count(config: Path, text: str) -> None:
    config.write_text(text)
    assert key(config, PWD="/a", OLDPWD="/b", SHLVL="1", _="/bin/a") == key(config)


def test_without_programs_other_variables_do_not_count(config: Path) -> None:
    config.write_text(_DIRECT)
    assert key(config, AWS_PROFILE="a", PATH="/bin") == key(config)


def test_the_program_ssh_reads_variables_as_well(config: Path) -> None:
    config.write_text(_DIRECT)
    openssh = {"NIX_REMOTE_TRANSPORT": "openssh"}
    assert key(config, AWS_PROFILE="a", **openssh) != key(config, AWS_PROFILE="b", **openssh)


def test_variables_of_kerberos_count_where_a_ticket_may_be_tried(config: Path) -> None:
    config.write_text(_DIRECT)
    assert key(config, KRB5CCNAME="a") == key(config, KRB5CCNAME="b")
    config.write_text(f"{_DIRECT} GSSAPIAuthentication yes\n")
    assert key(config, KRB5CCNAME="a") != key(config, KRB5CCNAME="b")


def test_a_command_of_the_config_gets_the_environment_of_the_copy(config: Path) -> None:
    config.write_text(
        'Match exec "test $PROFILE = work"\n Port 2222\nHost s\n HostName 127.0.0.1\n'
    )
    assert key(config, PROFILE="work") != key(config, PROFILE="personal")
    assert key(config, PROFILE="personal") == key(config, PROFILE="other")


def test_another_ssh_agent_is_another_connection_to_the_same_host(config: Path) -> None:
    config.write_text(_DIRECT)
    first, second = (key(config, SSH_AUTH_SOCK=f"/tmp/{number}") for number in (1, 2))
    assert first != second
    assert first.host == second.host


def test_keys_do_not_contain_variables(config: Path) -> None:
    config.write_text(_STARTING["ProxyCommand"])
    assert "secret" not in repr(key(config, TOKEN="secret"))
