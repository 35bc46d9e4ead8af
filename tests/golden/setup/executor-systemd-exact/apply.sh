# For root on an executor: nix-remote setup executor … | ssh root@EXECUTOR sh
# It can be run again: files that exist are replaced.
set -eu
main() {
# The NFS client.
command -v mount.nfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-common
}

mkdir -p /usr/local/bin
cat >/usr/local/bin/buildbox-run-nix-store.new <<'END-OF-FILE'
#!/bin/sh
# For buildbox: buildbox-worker --buildbox-run=/usr/local/bin/buildbox-run-nix-store ...
# Opens the store's folder before each action, so that the NFS client asks the server whether names
# were added: the action sees every path that became valid before, without a settle time. Looking at
# the folder without opening it is not enough. If the store cannot be opened, no action is run.
: </nix/store || exit
exec /usr/bin/buildbox-run-bubblewrap "$@"
END-OF-FILE
chmod 755 /usr/local/bin/buildbox-run-nix-store.new
mv /usr/local/bin/buildbox-run-nix-store.new /usr/local/bin/buildbox-run-nix-store

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
Options=ro,nfsvers=4.2,hard,acdirmin=1,acdirmax=1,nosuid,nodev
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
