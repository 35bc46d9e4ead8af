import os
import pwd
from pathlib import Path

import pytest

from nix_remote.errors import InvalidHostAlias, InvalidSetting, NoHost
from nix_remote.settings import (
    DEFAULT_SETTLE,
    DEFAULT_STALL_TIMEOUT,
    TransportChoice,
    check_alias,
    choose,
    user_name,
)


def test_the_environment_names_the_server() -> None:
    settings = choose({"BAZEL_NIX_REMOTE": "nix-server"})
    assert settings.host == "nix-server"
    assert settings.stall_timeout == DEFAULT_STALL_TIMEOUT
    assert settings.local_store.state_directory == Path("/nix/var/nix")
    assert settings.ssh_config is None


def test_an_argument_wins_over_the_environment() -> None:
    settings = choose({"BAZEL_NIX_REMOTE": "one"}, host="two", workspace=Path("/w"))
    assert (settings.host, settings.workspace) == ("two", Path("/w"))


@pytest.mark.parametrize("environment", [{}, {"BAZEL_NIX_REMOTE": ""}])
def test_no_server_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(NoHost):
        choose(environment)


@pytest.mark.parametrize(
    "alias", ["nix-server", "nix_1", "10.0.0.1", "me@nix.example.org", "fe80::1%eth0", "a+b"]
)
def test_names_that_ssh_users_have(alias: str) -> None:
    assert check_alias(alias) == alias


@pytest.mark.parametrize(
    "alias",
    [
        *("", " ", "a b", "nix-eu nix-us", "a\nb", "a\n", "a\x1b[31m"),
        *("-oProxyCommand=id", "-", "$(id)", "`id`", "a;b", "a|b", "a&b", "*", "a?", "@x"),
        *('"nix"', "'nix'", "a\\b", "a/b", "../a", "é"),
    ],
)
def test_names_that_a_shell_or_terminal_could_misread(alias: str) -> None:
    with pytest.raises(InvalidHostAlias) as caught:
        check_alias(alias)
    assert "\x1b" not in caught.value.render()
    if alias:
        with pytest.raises(InvalidHostAlias):
            choose({"BAZEL_NIX_REMOTE": alias})


def test_other_places() -> None:
    environment = {
        "BAZEL_NIX_REMOTE": "s",
        "NIX_REMOTE_SSH_CONFIG": "/etc/mine",
        "NIX_REMOTE_STALL_TIMEOUT": "1.5",
        "NIX_STATE_DIR": "/var/state",
        "NIX_REMOTE": "daemon",
    }
    settings = choose(environment)
    assert settings.ssh_config == Path("/etc/mine")
    assert settings.stall_timeout == 1.5
    assert settings.local_store.state_directory == Path("/var/state")
    assert settings.local_store.remote == "daemon"


def test_the_transport_is_chosen_by_option_then_by_environment() -> None:
    environment = {"BAZEL_NIX_REMOTE": "s", "NIX_REMOTE_TRANSPORT": "openssh"}
    assert choose({"BAZEL_NIX_REMOTE": "s"}).transport is TransportChoice.AUTO
    assert choose(environment).transport is TransportChoice.OPENSSH
    assert choose(environment, transport="paramiko").transport is TransportChoice.PARAMIKO


@pytest.mark.parametrize("name", ["NIX_REMOTE_TRANSPORT", "NIX_REMOTE_PROTOCOL"])
def test_a_choice_is_one_of_those_there_are(name: str) -> None:
    with pytest.raises(InvalidSetting, match=name) as caught:
        choose({"BAZEL_NIX_REMOTE": "s", name: "pigeon"})
    assert "auto, " in caught.value.fix


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_a_bound_is_a_number_above_0(text: str) -> None:
    with pytest.raises(InvalidSetting, match="NIX_REMOTE_STALL_TIMEOUT"):
        choose({"BAZEL_NIX_REMOTE": "s", "NIX_REMOTE_STALL_TIMEOUT": text})


def test_the_settle_time_may_be_none_at_all() -> None:
    assert choose({"BAZEL_NIX_REMOTE": "s"}).settle == DEFAULT_SETTLE == 1
    assert choose({"BAZEL_NIX_REMOTE": "s", "NIX_REMOTE_SETTLE": "0"}).settle == 0
    assert choose({"BAZEL_NIX_REMOTE": "s", "NIX_REMOTE_SETTLE": "0"}, settle=2.5).settle == 2.5
    assert choose({"BAZEL_NIX_REMOTE": "s", "NIX_REMOTE_SETTLE": "3"}, settle=0.0).settle == 0


@pytest.mark.parametrize("text", ["-1", "soon", "inf", "nan"])
def test_the_settle_time_is_a_number(text: str) -> None:
    with pytest.raises(InvalidSetting, match="NIX_REMOTE_SETTLE"):
        choose({"BAZEL_NIX_REMOTE": "s", "NIX_REMOTE_SETTLE": text})


def test_the_users_name_is_that_of_the_environment_or_of_the_password_database() -> None:
    assert user_name({"LOGNAME": "", "USER": "ada", "USERNAME": "other"}) == "ada"
    assert user_name({"LOGNAME": "bob", "USER": "ada"}) == "bob"
    assert user_name({}) == pwd.getpwuid(os.getuid()).pw_name
