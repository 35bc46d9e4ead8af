"""`nix-remote setup ssh`: a Host entry in the SSH config of this machine."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import Literal, Optional, TypedDict

from nix_remote import settings
from nix_remote.cli import options as common
from nix_remote.cli.files import append, check_regular, read, replace
from nix_remote.cli.result import Result
from nix_remote.errors import SetupInputUnusable
from nix_remote.setup import key_pair
from nix_remote.setup.ssh_entry import HostEntry, difference, with_entry
from nix_remote.ssh.config import resolve
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.openssh import host_key_scan
from nix_remote.ssh.openssh.host_key_scan import ScannedKey


class SshData(TypedDict):
    """The data of the set-up of this machine."""

    what: Literal["ssh"]
    file: str
    diff: str
    written: bool
    authorized_key: Optional[str]
    overruled: list[str]
    host_key: str
    host_key_recorded: bool


def add_options(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the parser of `ssh`."""
    entry = kinds.add_parser("ssh", help="a Host entry in the SSH config of this machine")
    entry.add_argument("alias", metavar="ALIAS", help="name of the Host entry")
    entry.add_argument("--hostname", metavar="NAME", help="the server's host name or address")
    entry.add_argument("--port", type=common.number, metavar="NUMBER")
    entry.add_argument("--user", metavar="ACCOUNT", help="account on the server")
    entry.add_argument("--identity", metavar="FILE", help="private key")
    entry.add_argument(
        "--create-key", action="store_true", help="create the key if it does not exist"
    )
    entry.add_argument(
        "--record-host-key",
        metavar="SHA256:…",
        help="add the server's host key to known_hosts if it has this fingerprint",
    )
    entry.add_argument(
        "--write", action="store_true", help="make the changes; without it, only show them"
    )
    entry.set_defaults(set_up=_set_up)


def _set_up(options: argparse.Namespace) -> Result[SshData]:
    chosen = settings.choose(host=options.alias)
    file = chosen.ssh_config or Path("~/.ssh/config").expanduser()
    if options.create_key and options.identity is None:
        raise SetupInputUnusable("--create-key", "an --identity FILE to create")
    wanted = HostEntry(
        options.alias, options.hostname, options.port, options.user, options.identity
    )
    check_regular(file)
    before = read(file) if file.exists() else ""
    after = with_entry(before, wanted)
    identity = Path(options.identity).expanduser() if options.identity else None
    if options.write:
        if options.create_key and identity is not None and not identity.exists():
            key_pair.create(identity, f"nix-remote on {platform.node()}")
        if after != before:
            replace(file, after)
    resolved = resolve.for_this_user(options.alias, chosen.ssh_config, chosen.environment)
    overrides = [f"{name}={value}" for name, value in wanted.directives().items()]
    key = host_key_scan.scan(resolved, overrides, chosen.ssh_config)
    recorded = _record(options, resolved, key)
    return Result(
        "setup",
        {
            "what": "ssh",
            "file": str(file),
            "diff": difference(before, after, str(file)),
            "written": options.write,
            "authorized_key": _public_key(identity),
            "overruled": _overruled(wanted, resolved) if options.write else [],
            "host_key": key.fingerprint,
            "host_key_recorded": recorded,
        },
    )


def _overruled(wanted: HostEntry, resolved: HostConfig) -> list[str]:
    """Values of the SSH config that come before the entry and override it."""
    pairs = (
        ("HostName", wanted.hostname, resolved.hostname),
        ("Port", wanted.port, resolved.port),
        ("User", wanted.user, resolved.user),
    )
    return [f"{name} {found}" for name, want, found in pairs if want not in (None, found)]


def _record(options: argparse.Namespace, resolved: HostConfig, key: ScannedKey) -> bool:
    """Records the server's host key if it is the expected one; returns whether it did."""
    if options.record_host_key is None or not options.write:
        return False
    if options.record_host_key not in (key.fingerprint, key.fingerprint.split()[1]):
        expected = f"the fingerprint of the server's host key, which is {key.fingerprint}"
        raise SetupInputUnusable("--record-host-key", expected)
    if not resolved.user_known_hosts_files:
        raise SetupInputUnusable("UserKnownHostsFile", "a file for the host key")
    file = resolved.user_known_hosts_files[0]
    check_regular(file)
    if not file.exists() or key.line not in read(file).splitlines():
        append(file, key.line)
    return True


def _public_key(identity: Optional[Path]) -> Optional[str]:
    if identity is None or not key_pair.public_file(identity).exists():
        return None
    return read(key_pair.public_file(identity)).strip()


def conclude(data: SshData) -> str:
    """What was changed, and what is left to do."""
    done = "written" if data["written"] else "not written without --write"
    lines = [f"{data['file']}: {done if data['diff'] else 'unchanged'}"]
    lines += [f"  overridden by an earlier line: {each}" for each in data["overruled"]]
    if data["authorized_key"]:
        lines.append(f"for the server's authorized_keys: {data['authorized_key']}")
    lines.append(f"host key of the server: {data['host_key']}")
    if data["host_key_recorded"]:
        lines.append("  recorded in known_hosts")
    else:
        fingerprint = data["host_key"].split()[1]
        lines.append("  compare it on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
        lines.append(f"  if both are equal: --write --record-host-key {fingerprint}")
    return "\n".join(lines)
