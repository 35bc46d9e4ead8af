# For root on an executor: nix-remote setup executor … | ssh root@EXECUTOR sh
# It can be run again: files that exist are replaced.
set -eu
main() {
# The NFS client.
command -v mount.nfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-common
}

mkdir -p /etc
cat >/etc/nix-store-cache.conf.new <<'END-OF-FILE'
# The cache of the Nix store's mount, in a file system of its own (nix-store-cache).
dir /var/cache/nix-store
tag nix-store
# Shares of that file system that are free. Below bcull and fcull, cachefilesd removes what was not
# used for longest, until brun and frun are free; below bstop and fstop, nothing is added.
brun 10%
bcull 7%
bstop 3%
frun 10%
fcull 7%
fstop 3%
END-OF-FILE
chmod 644 /etc/nix-store-cache.conf.new
mv /etc/nix-store-cache.conf.new /etc/nix-store-cache.conf

mkdir -p /usr/local/sbin
cat >/usr/local/sbin/nix-store-cache.new <<'END-OF-FILE'
#!/bin/sh
# Mounts the file system of the cache. Makes it, unless it exists and has this size.
set -eu
size=21474836480
image=/var/lib/nix-store-cache.ext4
folder=/var/cache/nix-store
make() { mkfs.ext4 -q -F -m 0 -i 8192 -O ^has_journal "$1"; }
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
END-OF-FILE
chmod 755 /usr/local/sbin/nix-store-cache.new
mv /usr/local/sbin/nix-store-cache.new /usr/local/sbin/nix-store-cache

mkdir -p /etc/systemd/system
cat >/etc/systemd/system/nix-store-cache.service.new <<'END-OF-FILE'
# Keeps on this machine's disk what was read through the mount of the Nix store. cachefilesd's own
# service is not used: Debian starts it after the mounts, and only if /etc/default says so.
[Unit]
Description=The cache of the Nix server's store
Before=nix-store.mount autofs.service
Conflicts=cachefilesd.service

# First its file system. The daemon stays in the foreground.
[Service]
ExecStartPre=/usr/local/sbin/nix-store-cache
ExecStart=/usr/sbin/cachefilesd -s -n -f /etc/nix-store-cache.conf

[Install]
WantedBy=multi-user.target
END-OF-FILE
chmod 644 /etc/systemd/system/nix-store-cache.service.new
mv /etc/systemd/system/nix-store-cache.service.new /etc/systemd/system/nix-store-cache.service

mkdir -p /etc/systemd/system
cat >/etc/systemd/system/nix-store.mount.new <<'END-OF-FILE'
# The Nix server's store, read-only. systemd requires that the unit is named after the folder.
[Unit]
Description=The Nix server's store
Wants=network-online.target
After=network-online.target

[Mount]
What=nix.example.org:/nix/store
Where=/nix/store
Type=nfs
# ro            nothing on this machine can change the store
# nfsvers=4.2   one port (2049), without rpcbind, mountd and statd; and a folder's changes are
#               counted: with NFS 3, two changes in one tick of the server's clock can hide a path
# hard          reads wait for an unavailable server, and do not fail half-way
# acdirmin=1,acdirmax=1  a name that was looked up in vain counts as absent for at most 1 s:
#               nix-remote ends a copy no earlier than that after its last path became valid
#               (NIX_REMOTE_SETTLE)
# nosuid,nodev  a Nix store has no setuid files or devices; ignore them
# fsc                   keep on this machine's disk what was read (cachefilesd)
Options=ro,nfsvers=4.2,hard,acdirmin=1,acdirmax=1,nosuid,nodev,fsc
# If the server does not answer, the mount fails after a minute, and systemd does not retry.
TimeoutSec=60

[Install]
WantedBy=remote-fs.target
END-OF-FILE
chmod 644 /etc/systemd/system/nix-store.mount.new
mv /etc/systemd/system/nix-store.mount.new /etc/systemd/system/nix-store.mount

# The mount would hide a local store.
mkdir -p /nix/store
if ! grep -q ' /nix/store ' /proc/self/mounts && [ -n "$(ls -A /nix/store)" ]; then
  echo "/nix/store of this machine is not empty: an executor has the server's store, or its own" >&2
  exit 1
fi
# The cache. If it cannot be made, this script ends here.
command -v cachefilesd >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install cachefilesd e2fsprogs
}
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable nix-store-cache.service
  systemctl restart nix-store-cache.service
else
  # Without systemd, run these two commands at boot, too, before the mount.
  /usr/local/sbin/nix-store-cache
  pgrep -x cachefilesd >/dev/null || cachefilesd -s -f /etc/nix-store-cache.conf
fi
# The worker's unit should have these lines, so that it accepts no actions without the store:
#   [Unit]
#   RequiresMountsFor=/nix/store
systemctl daemon-reload
systemctl enable nix-store.mount
systemctl restart nix-store.mount
# Every Nix store has this folder: it shows that the store is mounted.
[ -d /nix/store/.links ] || {
  echo "/nix/store is mounted, but it is no Nix store" >&2
  exit 1
}
}
main
