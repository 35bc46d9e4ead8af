"""FS-Cache on an executor: keeps on its disk what was read through the mount.

cachefilesd does not bound the size of its cache, but the share of the file system that stays free.
So the cache gets a file system of its own, in a file of the size that was asked for.

Pure: a size in, text out.
"""

from __future__ import annotations

from typing import Final

from nix_remote.setup import inputs
from nix_remote.setup.bundle import File

MOUNT_OPTION: Final = "fsc"
"""The mount option with which NFS uses FS-Cache. Without a cache, it has no effect."""

MOUNT_REASON: Final = """\
# fsc                   keep on this machine's disk what was read (cachefilesd)"""

UNIT: Final = "nix-store-cache.service"

_SMALLEST: Final = 2**28
"""Bytes. Of a smaller cache, the limits and the file system's own data leave little."""

_PROGRAM_PATH: Final = "/usr/local/sbin/nix-store-cache"
_CONFIGURATION_PATH: Final = "/etc/nix-store-cache.conf"
_FOLDER: Final = "/var/cache/nix-store"
_IMAGE: Final = "/var/lib/nix-store-cache.ext4"


def check(size: int) -> None:
    """Raises `SetupInputUnusable` for a size in bytes that is too small."""
    inputs.at_least(_SMALLEST, size, "--cache")


def files(size: int) -> tuple[File, ...]:
    """The files for a cache of so many bytes."""
    program = _PROGRAM.format(size=size // 4096 * 4096, image=_IMAGE, folder=_FOLDER)
    unit = _UNIT.format(program=_PROGRAM_PATH, configuration=_CONFIGURATION_PATH)
    return (
        File(_CONFIGURATION_PATH, _CONFIGURATION.format(folder=_FOLDER)),
        File(_PROGRAM_PATH, program, 0o755),
        File(f"/etc/systemd/system/{UNIT}", unit),
    )


_CONFIGURATION: Final = """\
# The cache of the Nix store's mount, in a file system of its own (nix-store-cache).
dir {folder}
tag nix-store
# Shares of that file system that are free. Below bcull and fcull, cachefilesd removes what was not
# used for longest, until brun and frun are free; below bstop and fstop, nothing is added.
brun 10%
bcull 7%
bstop 3%
frun 10%
fcull 7%
fstop 3%
"""

_PROGRAM: Final = """\
#!/bin/sh
# Mounts the file system of the cache. Makes it, unless it exists and has this size.
set -eu
size={size}
image={image}
folder={folder}
make() {{ mkfs.ext4 -q -F -m 0 -i 8192 -O ^has_journal "$1"; }}
for module in cachefiles loop; do modprobe -q "$module" || true; done
if grep -q " $folder " /proc/self/mounts; then exit 0; fi
if [ "$(stat -c %s "$image" 2>/dev/null)" != "$size" ]; then
  rm -f "$image" "$image.new"
  # All blocks now: later, the disk may be full.
  fallocate --posix --length "$size" "$image.new"
  make "$image.new"
  mv "$image.new" "$image"
fi
# After a power failure, a file system that needs more than the usual repair is made again.
fsck.ext4 -p "$image" >/dev/null || [ $? -lt 4 ] || make "$image"
mkdir -p "$folder"
mount -o loop,nosuid,nodev,noexec,noatime "$image" "$folder"
"""

_UNIT: Final = """\
# Keeps on this machine's disk what was read through the mount of the Nix store. cachefilesd's own
# service is not used: Debian starts it after the mounts, and only if /etc/default says so.
[Unit]
Description=The cache of the Nix server's store
Before=nix-store.mount autofs.service
Conflicts=cachefilesd.service

# First its file system. The daemon stays in the foreground.
[Service]
ExecStartPre={program}
ExecStart=/usr/sbin/cachefilesd -s -n -f {configuration}

[Install]
WantedBy=multi-user.target
"""

PACKAGES: Final = ("cachefilesd", "e2fsprogs")

STEPS: Final = f"""\
# The cache. If it cannot be made, this script ends here.
command -v cachefilesd >/dev/null || {{
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install {" ".join(PACKAGES)}
}}
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable {UNIT}
  systemctl restart {UNIT}
else
  # Without systemd, run these two commands at boot, too, before the mount.
  {_PROGRAM_PATH}
  pgrep -x cachefilesd >/dev/null || cachefilesd -s -f {_CONFIGURATION_PATH}
fi
"""
