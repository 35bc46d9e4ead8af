"""A machine that runs remote actions: how it mounts the server's store, in the ways people do it.

Pure: a plan in, files and perhaps a script for root out.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Callable, Final, Mapping

from nix_remote.setup import inputs, nfs
from nix_remote.setup.bundle import Bundle, File, put, script


class Way(enum.Enum):
    """How an executor comes to have the mount."""

    SYSTEMD = "systemd"
    """A mount unit, which other units can require."""
    FSTAB = "fstab"
    AUTOFS = "autofs"
    """Mounted at first use."""
    CLOUD_INIT = "cloud-init"
    """User data for a virtual machine that is made from an image."""


@dataclass(frozen=True)
class ExecutorPlan:
    """What an executor mounts."""

    server: str
    """The Nix server: a name or an address that executors reach."""
    way: Way = Way.SYSTEMD


def bundle(plan: ExecutorPlan) -> Bundle:
    """Everything for one way. Raises `SetupInputUnusable`."""
    return _WAYS[plan.way](f"{inputs.host(plan.server, '--server')}:{nfs.STORE}")


def mount_unit(source: str) -> str:
    """`nix-store.mount`: systemd wants the unit to be named after the folder."""
    return _UNIT.format(
        reasons=nfs.MOUNT_REASONS, source=source, folder=nfs.STORE, options=nfs.mount_options()
    )


def _systemd(source: str) -> Bundle:
    files = (File(UNIT_PATH, mount_unit(source)),)
    return _scripted(files, _SYSTEMD_STEPS)


def _fstab(source: str) -> Bundle:
    # _netdev: not before there is a network. nofail: the machine comes up all the same, and can
    # be looked at.
    line = f"{source} {nfs.STORE} nfs {nfs.mount_options('_netdev', 'nofail')} 0 0"
    text = f"{_FSTAB_HEAD}\n{nfs.MOUNT_REASONS}\n{_FSTAB_REASONS}\n{line}\n"
    files = (File("/etc/fstab.nix-remote", text),)
    return _scripted(files, _FSTAB_STEPS.format(folder=nfs.STORE))


def _autofs(source: str) -> Bundle:
    options = nfs.mount_options()
    text = f"{_MAP_HEAD}\n{nfs.MOUNT_REASONS}\n{nfs.STORE} -fstype=nfs,{options} {source}\n"
    files = (
        File("/etc/auto.master.d/nix-remote.autofs", _MASTER),
        File("/etc/auto.nix-remote", text),
    )
    return _scripted(files, _AUTOFS_STEPS)


def _cloud_init(source: str) -> Bundle:
    unit = "".join(f"      {line}".rstrip() + "\n" for line in mount_unit(source).splitlines())
    text = _CLOUD_INIT.format(unit=unit, path=UNIT_PATH)
    return Bundle((File("user-data", text),), "give it to the machine as its user data")


_WAYS: Final[Mapping[Way, Callable[[str], Bundle]]] = {
    Way.SYSTEMD: _systemd,
    Way.FSTAB: _fstab,
    Way.AUTOFS: _autofs,
    Way.CLOUD_INIT: _cloud_init,
}


def _scripted(files: tuple[File, ...], steps: str) -> Bundle:
    whole = script(_HEAD, _PACKAGE, put(files), _CHECK_FOLDER + steps + _CHECK)
    use = "look at it, then, for root on every executor: | ssh root@EXECUTOR sh"
    return Bundle(files, use, whole)


UNIT_PATH: Final = "/etc/systemd/system/nix-store.mount"

_UNIT: Final = """\
# The Nix server's store, read-only. The unit has to be named after the folder.
[Unit]
Description=The Nix server's store
Wants=network-online.target
After=network-online.target

[Mount]
What={source}
Where={folder}
Type=nfs
{reasons}
Options={options}
# A server that does not answer is an error, told after a minute; systemd then tries no more.
TimeoutSec=60

[Install]
WantedBy=remote-fs.target
"""

_HEAD: Final = """\
# For root on an executor: nix-remote setup executor … | ssh root@EXECUTOR sh
# It can be run again: what is there is replaced, or left if it is right.
set -eu
"""

_PACKAGE: Final = """\
# What mounts NFS.
command -v mount.nfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-common
}
"""

_CHECK_FOLDER: Final = """\
# A store of this machine's own would be hidden below the mount.
mkdir -p /nix/store
if ! grep -q ' /nix/store ' /proc/self/mounts && [ -n "$(ls -A /nix/store)" ]; then
  echo "/nix/store of this machine is not empty: an executor has the server's store, or its own" >&2
  exit 1
fi
"""

_CHECK: Final = f"""\
# Every Nix store has this folder: by it one sees that the store is there.
[ -d {nfs.SENTINEL} ] || {{
  echo "/nix/store is mounted, but it is no Nix store" >&2
  exit 1
}}
"""

_SYSTEMD_STEPS: Final = """\
# The unit of the worker that takes actions should say this, so that it takes none without a store:
#   [Unit]
#   RequiresMountsFor=/nix/store
systemctl daemon-reload
systemctl enable nix-store.mount
systemctl restart nix-store.mount
"""

_FSTAB_HEAD: Final = """\
# Lines for /etc/fstab: the Nix server's store, read-only."""

_FSTAB_REASONS: Final = """\
# _netdev               not before there is a network
# nofail                without the server the machine still comes up, and can be looked at"""

_FSTAB_STEPS: Final = """\
# In place of an earlier line for the same folder. The file behind a link is replaced, not the link.
[ -e /etc/fstab ] || : >/etc/fstab
fstab=$(readlink -f /etc/fstab)
cp -p "$fstab" "$fstab.new"
awk '$1 ~ /^#/ || $2 != "{folder}"' "$fstab" >"$fstab.new"
grep -v '^#' /etc/fstab.nix-remote >>"$fstab.new"
mv "$fstab.new" "$fstab"
# Other options than those of a mount that is there take a new mount.
if grep -q ' {folder} ' /proc/self/mounts; then umount {folder}; fi
mount {folder}
"""

_MASTER: Final = """\
# Mounts that are named in full (a direct map): at the folder itself, not below another.
/- /etc/auto.nix-remote
"""

_MAP_HEAD: Final = """\
# The Nix server's store, read-only, mounted at first use."""

_AUTOFS_STEPS: Final = """\
# The automounter.
command -v automount >/dev/null || {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install autofs
}
systemctl enable autofs.service
systemctl restart autofs.service
"""

_CLOUD_INIT: Final = """\
#cloud-config
# An executor that mounts the Nix server's store: nix-remote setup executor --way cloud-init …

# What mounts NFS.
packages:
  - nfs-common

# A mount unit: mounts of cloud-init itself would be made before the package is there.
write_files:
  - path: {path}
    permissions: "0644"
    content: |
{unit}
# The folder, and the mount. Whatever takes actions should be started after it, by a unit with
# RequiresMountsFor=/nix/store.
runcmd:
  - [mkdir, -p, /nix/store]
  - [systemctl, daemon-reload]
  - [systemctl, enable, --now, nix-store.mount]
"""
