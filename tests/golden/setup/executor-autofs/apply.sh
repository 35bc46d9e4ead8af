# For root on an executor: nix-remote setup executor … | ssh root@EXECUTOR sh
# It can be run again: files that exist are replaced.
set -eu
main() {
# The NFS client.
command -v mount.nfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-common
}

mkdir -p /etc/auto.master.d
cat >/etc/auto.master.d/nix-remote.autofs.new <<'END-OF-FILE'
# A direct map: its entries have absolute mount points.
/- /etc/auto.nix-remote
END-OF-FILE
chmod 644 /etc/auto.master.d/nix-remote.autofs.new
mv /etc/auto.master.d/nix-remote.autofs.new /etc/auto.master.d/nix-remote.autofs

mkdir -p /etc
cat >/etc/auto.nix-remote.new <<'END-OF-FILE'
# The Nix server's store, read-only, mounted at first use.
# ro            nothing on this machine can change the store
# nfsvers=4.2   one port (2049), without rpcbind, mountd and statd; and a folder's changes are
#               counted: with NFS 3, two changes in one tick of the server's clock can hide a path
# hard          reads wait for an unavailable server, and do not fail half-way
# acdirmin=1,acdirmax=1  a name that was looked up in vain counts as absent for at most 1 s:
#               nix-remote ends a copy no earlier than that after its last path became valid
#               (NIX_REMOTE_SETTLE)
# nosuid,nodev  a Nix store has no setuid files or devices; ignore them
/nix/store -fstype=nfs,ro,nfsvers=4.2,hard,acdirmin=1,acdirmax=1,nosuid,nodev nix.example.org:/nix/store
END-OF-FILE
chmod 644 /etc/auto.nix-remote.new
mv /etc/auto.nix-remote.new /etc/auto.nix-remote

# The mount would hide a local store.
mkdir -p /nix/store
if ! grep -q ' /nix/store ' /proc/self/mounts && [ -n "$(ls -A /nix/store)" ]; then
  echo "/nix/store of this machine is not empty: an executor has the server's store, or its own" >&2
  exit 1
fi
# The automounter.
command -v automount >/dev/null || {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install autofs
}
systemctl enable autofs.service
systemctl restart autofs.service
# Every Nix store has this folder: it shows that the store is mounted.
[ -d /nix/store/.links ] || {
  echo "/nix/store is mounted, but it is no Nix store" >&2
  exit 1
}
}
main
