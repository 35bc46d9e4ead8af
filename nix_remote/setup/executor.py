"""An executor: mounts the server's store on a machine that runs remote actions.

Pure: a plan in, files and a script for root out.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Callable, Final, Mapping, Optional

from nix_remote.setup import cache, exact, inputs, nfs
from nix_remote.setup.bundle import Bundle, File, put, script


class Way(enum.Enum):
    """How the mount is configured."""

    SYSTEMD = "systemd"
    """A mount unit, which other units can require."""
    FSTAB = "fstab"
    AUTOFS = "autofs"
    """Mounted at first use."""
    CLOUD_INIT = "cloud-init"
    """User data of a virtual machine."""


@dataclass(frozen=True)
class ExecutorPlan:
    """The configuration of an executor."""

    server: str
    """The Nix server: a name or an address that executors can reach."""
    way: Way = Way.SYSTEMD
    runner: str = ""
    """The program of buildbox that runs actions; with it, `exact.PATH` is made, which starts it."""
    cache_size: Optional[int] = None
    """Bytes of this machine's disk for what was read through the mount; None for no such cache."""


@dataclass(frozen=True)
class _Source:
    """What is mounted, in NFS syntax, through which cache, and for which runner."""

    source: str
    cache_size: Optional[int]
    runner: str

    def options(self, *more: str) -> str:
        return nfs.mount_options(*more, *([cache.MOUNT_OPTION] if self.cache_size else []))

    @property
    def reasons(self) -> str:
        lines = [nfs.MOUNT_REASONS, *([cache.MOUNT_REASON] if self.cache_size else [])]
        return "\n".join(lines)

    @property
    def more_files(self) -> tuple[File, ...]:
        files = cache.files(self.cache_size) if self.cache_size else ()
        return (*files, exact.program(self.runner)) if self.runner else files


def bundle(plan: ExecutorPlan) -> Bundle:
    """The files for one way to mount. Raises `SetupInputUnusable`."""
    source = f"{inputs.host(plan.server, '--server')}:{nfs.STORE}"
    if plan.cache_size is not None:
        cache.check(plan.cache_size)
    return _WAYS[plan.way](_Source(source, plan.cache_size, plan.runner))


def _mount_unit(source: _Source) -> str:
    """`nix-store.mount`: systemd wants the unit to be named after the folder."""
    return _UNIT.format(
        reasons=source.reasons, source=source.source, folder=nfs.STORE, options=source.options()
    )


def _systemd(source: _Source) -> Bundle:
    files = (File(UNIT_PATH, _mount_unit(source)),)
    return _scripted(source, files, _SYSTEMD_STEPS)


def _fstab(source: _Source) -> Bundle:
    # _netdev: mount after the network is up. nofail: boot even if the mount fails.
    line = f"{source.source} {nfs.STORE} nfs {source.options('_netdev', 'nofail')} 0 0"
    text = f"{_FSTAB_HEAD}\n{source.reasons}\n{_FSTAB_REASONS}\n{line}\n"
    files = (File("/etc/fstab.nix-remote", text),)
    return _scripted(source, files, _FSTAB_STEPS.format(folder=nfs.STORE))


def _autofs(source: _Source) -> Bundle:
    entry = f"{nfs.STORE} -fstype=nfs,{source.options()} {source.source}"
    text = f"{_MAP_HEAD}\n{source.reasons}\n{entry}\n"
    files = (
        File("/etc/auto.master.d/nix-remote.autofs", _MASTER),
        File("/etc/auto.nix-remote", text),
    )
    return _scripted(source, files, _AUTOFS_STEPS)


def _cloud_init(source: _Source) -> Bundle:
    files = (*source.more_files, File(UNIT_PATH, _mount_unit(source)))
    cached = source.cache_size is not None
    text = _CLOUD_INIT.format(
        packages="".join(f"\n  - {each}" for each in cache.PACKAGES) if cached else "",
        files="".join(map(_cloud_init_file, files)),
        cache=f"\n  - [systemctl, enable, --now, {cache.UNIT}]" if cached else "",
    )
    return Bundle((File("user-data", text),), "give it to the machine as its user data")


def _cloud_init_file(file: File) -> str:
    indented = "".join(f"      {line}".rstrip() + "\n" for line in file.text.splitlines())
    head = f'  - path: {file.path}\n    permissions: "{file.mode:04o}"\n    content: |\n'
    return f"{head}{indented}"


_WAYS: Final[Mapping[Way, Callable[[_Source], Bundle]]] = {
    Way.SYSTEMD: _systemd,
    Way.FSTAB: _fstab,
    Way.AUTOFS: _autofs,
    Way.CLOUD_INIT: _cloud_init,
}


def _scripted(source: _Source, mount_files: tuple[File, ...], steps: str) -> Bundle:
    files = (*source.more_files, *mount_files)
    before = cache.STEPS if source.cache_size else ""
    whole = script(_HEAD, _PACKAGE, put(files), _CHECK_FOLDER + before + steps + _CHECK)
    use = "review it, then run it as root on every executor: | ssh root@EXECUTOR sh"
    return Bundle(files, use, whole)


UNIT_PATH: Final = "/etc/systemd/system/nix-store.mount"

_UNIT: Final = """\
# The Nix server's store, read-only. systemd requires that the unit is named after the folder.
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
# If the server does not answer, the mount fails after a minute, and systemd does not retry.
TimeoutSec=60

[Install]
WantedBy=remote-fs.target
"""

_HEAD: Final = """\
# For root on an executor: nix-remote setup executor … | ssh root@EXECUTOR sh
# It can be run again: files that exist are replaced.
set -eu
"""

_PACKAGE: Final = """\
# The NFS client.
command -v mount.nfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-common
}
"""

_CHECK_FOLDER: Final = """\
# The mount would hide a local store.
mkdir -p /nix/store
if ! grep -q ' /nix/store ' /proc/self/mounts && [ -n "$(ls -A /nix/store)" ]; then
  echo "/nix/store of this machine is not empty: an executor has the server's store, or its own" >&2
  exit 1
fi
"""

_CHECK: Final = f"""\
# Every Nix store has this folder: it shows that the store is mounted.
[ -d {nfs.SENTINEL} ] || {{
  echo "/nix/store is mounted, but it is no Nix store" >&2
  exit 1
}}
"""

_SYSTEMD_STEPS: Final = """\
# The worker's unit should have these lines, so that it accepts no actions without the store:
#   [Unit]
#   RequiresMountsFor=/nix/store
systemctl daemon-reload
systemctl enable nix-store.mount
systemctl restart nix-store.mount
"""

_FSTAB_HEAD: Final = """\
# Lines for /etc/fstab: the Nix server's store, read-only."""

_FSTAB_REASONS: Final = """\
# _netdev               mount after the network is up
# nofail                boot even if the server is unavailable"""

_FSTAB_STEPS: Final = """\
# Replaces an earlier line for the same folder. If fstab is a link, replaces its target.
[ -e /etc/fstab ] || : >/etc/fstab
fstab=$(readlink -f /etc/fstab)
cp -p "$fstab" "$fstab.new"
awk '$1 ~ /^#/ || $2 != "{folder}"' "$fstab" >"$fstab.new"
grep -v '^#' /etc/fstab.nix-remote >>"$fstab.new"
mv "$fstab.new" "$fstab"
# To change the options of an existing mount, it must be mounted again.
if grep -q ' {folder} ' /proc/self/mounts; then umount {folder}; fi
mount {folder}
"""

_MASTER: Final = """\
# A direct map: its entries have absolute mount points.
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

# The NFS client.
packages:
  - nfs-common{packages}

# A mount unit: cloud-init's own mounts are made before packages are installed.
write_files:
{files}
# The folder, and the mount. The worker should be started after it, by a unit with
# RequiresMountsFor=/nix/store.
runcmd:
  - [mkdir, -p, /nix/store]
  - [systemctl, daemon-reload]{cache}
  - [systemctl, enable, --now, nix-store.mount]
"""
