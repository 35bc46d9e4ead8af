"""The settings of a run, from options, environment and defaults.

The only module that reads the environment. (SSH and Nix programs and libraries read their own
variables: HOME, SSH_AUTH_SOCK, NIX_*.)

    BAZEL_NIX_REMOTE             the Nix server: a Host entry of the SSH config
    NIX_REMOTE_SSH_CONFIG        the SSH config to read instead of the user's and the system's
    NIX_REMOTE_SIGN_KEY_FILE     a Nix secret key that signs the sent paths
    NIX_REMOTE_STALL_TIMEOUT     seconds without progress before a copy fails (600)
    NIX_REMOTE_SETTLE            seconds after which executors see a new path (1)
    NIX_REMOTE_TRANSPORT         auto, paramiko or openssh: the SSH implementation
    NIX_REMOTE_PROTOCOL          auto, worker or serve: the protocol of Nix on the server
    NIX_REMOTE_AGENT             auto or off: whether invocations share an agent
    NIX_REMOTE_AGENT_IDLE        seconds without a client after which an agent stops (60)
    NIX_REMOTE, NIX_STATE_DIR    the local store, as for Nix itself
"""

from __future__ import annotations

import enum
import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Mapping, Optional, TypeVar

from nix_remote.errors import InvalidHostAlias, InvalidSetting, NoHost, WorkingFolderGone
from nix_remote.text import decimal_fraction

DEFAULT_STALL_TIMEOUT: Final = 600.0
"""Seconds. Longer than a typical garbage collection takes."""

DEFAULT_SETTLE: Final = 1.0
"""Seconds. The `acdirmax` of the mounts that `nix-remote setup` makes (`setup/nfs.py`)."""

DEFAULT_AGENT_IDLE: Final = 60.0
"""Seconds."""

_USER_VARIABLES: Final = ("LOGNAME", "USER", "LNAME", "USERNAME")
_ALIAS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+%:@-]*")


@dataclass(frozen=True)
class LocalStoreSettings:
    """The local store, as Nix itself reads it from the environment."""

    remote: str = ""
    """`NIX_REMOTE`: empty, `auto` and `daemon` mean the default store."""
    state_directory: Path = Path("/nix/var/nix")


class TransportChoice(enum.Enum):
    """The SSH implementation."""

    AUTO = "auto"
    """paramiko, or OpenSSH if the SSH config needs features that paramiko does not have."""
    PARAMIKO = "paramiko"
    OPENSSH = "openssh"


class StoreProtocol(enum.Enum):
    """The protocol of Nix on the server."""

    AUTO = "auto"
    """Worker, or serve if the account or the server supports only that."""
    WORKER = "worker"
    SERVE = "serve"


@dataclass(frozen=True)
class Settings:
    """The settings of one run."""

    host: str
    workspace: Path
    """The folder that needs the paths; part of the durable roots' names."""
    package: Optional[str]
    """The paths' name in the workspace; None: the name of each store path."""
    ssh_config: Optional[Path]
    """The SSH config to read; None: the user's and the system's."""
    environment: Mapping[str, str]
    """The values of `${NAME}` in the SSH config."""
    transport: TransportChoice
    sign_key_file: Optional[Path]
    """The Nix secret key that signs the sent paths; None: they are not signed."""
    stall_timeout: float
    """Seconds."""
    settle: float
    """Seconds after which every executor sees a path that has become valid; 0: at once."""
    protocol: StoreProtocol
    local_store: LocalStoreSettings


def own_environment() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ


def own_folder() -> Path:
    """The working directory. Raises `WorkingFolderGone`."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise WorkingFolderGone from None


def user_name(environment: Mapping[str, str] = os.environ) -> str:
    """The name of this user, as `getpass.getuser` determines it from that environment."""
    named = (environment.get(name) for name in _USER_VARIABLES)
    return next(filter(None, named), None) or pwd.getpwuid(os.getuid()).pw_name


def agent_idle(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds without a client after which an agent stops. Raises `InvalidSetting`."""
    return _limit(environment, "NIX_REMOTE_AGENT_IDLE", DEFAULT_AGENT_IDLE)


def settle_time(
    environment: Mapping[str, str] = os.environ, *, chosen: Optional[float] = None
) -> float:
    """The settle time in seconds: `chosen`, or the environment's. Raises `InvalidSetting`."""
    if chosen is not None:
        return chosen
    return _seconds(environment, "NIX_REMOTE_SETTLE", DEFAULT_SETTLE)


def check_alias(alias: str) -> str:
    """Returns the alias if it is valid; raises `InvalidHostAlias` otherwise.

    The name reaches the SSH config and, in messages, a terminal: characters that are special
    to a shell or a terminal are refused.
    """
    if not _ALIAS.fullmatch(alias):
        raise InvalidHostAlias(alias)
    return alias


def hosts(environment: Mapping[str, str] = os.environ, *, host: Optional[str] = None) -> list[str]:
    """The Nix servers that the user names, each once: `host`, or those of the environment.

    Raises `NoHost` and `InvalidHostAlias`.
    """
    named = [host] if host else environment.get("BAZEL_NIX_REMOTE", "").split()
    if not named:
        raise NoHost()
    return [check_alias(each) for each in dict.fromkeys(named)]


def choose(
    environment: Mapping[str, str] = os.environ,
    *,
    host: Optional[str] = None,
    workspace: Optional[Path] = None,
    package: Optional[str] = None,
    transport: Optional[str] = None,
    sign_key_file: Optional[Path] = None,
    settle: Optional[float] = None,
) -> Settings:
    """Settings for a run; arguments override the environment.

    Raises `UsageError`.
    """
    alias = host if host is not None else environment.get("BAZEL_NIX_REMOTE", "")
    if not alias:
        raise NoHost()
    config = environment.get("NIX_REMOTE_SSH_CONFIG")
    return Settings(
        host=check_alias(alias),
        workspace=workspace if workspace is not None else own_folder(),
        package=package,
        ssh_config=Path(config) if config else None,
        environment=environment,
        transport=_one_of(TransportChoice, environment, "NIX_REMOTE_TRANSPORT", transport),
        sign_key_file=sign_key_file or _path(environment, "NIX_REMOTE_SIGN_KEY_FILE"),
        protocol=_one_of(StoreProtocol, environment, "NIX_REMOTE_PROTOCOL"),
        stall_timeout=_limit(environment, "NIX_REMOTE_STALL_TIMEOUT", DEFAULT_STALL_TIMEOUT),
        settle=settle_time(environment, chosen=settle),
        local_store=local_store(environment),
    )


def local_store(environment: Mapping[str, str] = os.environ) -> LocalStoreSettings:
    """The settings of the local store."""
    return LocalStoreSettings(
        environment.get("NIX_REMOTE", ""),
        Path(environment.get("NIX_STATE_DIR") or LocalStoreSettings.state_directory),
    )


Choice = TypeVar("Choice", bound=enum.Enum)


def _one_of(
    choices: type[Choice],
    environment: Mapping[str, str],
    name: str,
    given: Optional[str] = None,
) -> Choice:
    """The given value, else the variable's value, else the first choice."""
    values = [choice.value for choice in choices]
    text = given or environment.get(name) or values[0]
    try:
        return choices(text)
    except ValueError:
        expected = f"{', '.join(values[:-1])} or {values[-1]}"
        raise InvalidSetting(name, text, expected) from None


def _path(environment: Mapping[str, str], name: str) -> Optional[Path]:
    text = environment.get(name)
    return Path(text).expanduser() if text else None


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    """A number of seconds, which may be 0."""
    text = environment.get(name)
    if not text:
        return default
    value = decimal_fraction(text)
    if value is None:
        raise InvalidSetting(name, text, "a number of seconds")
    return value


def _limit(environment: Mapping[str, str], name: str, default: float) -> float:
    """A number of seconds above 0."""
    value = _seconds(environment, name, default)
    if not value:
        raise InvalidSetting(name, environment[name], "a number of seconds above 0")
    return value
