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
cat >/etc/fstab.nix-remote.new <<'END-OF-FILE'
# Lines for /etc/fstab: the Nix server's store, read-only.
# ro            nothing on this machine can change the store
# nfsvers=4.2   one port (2049), without rpcbind, mountd and statd; and a folder's changes are
#               counted: with NFS 3, two changes in one tick of the server's clock can hide a path
# hard          reads wait for an unavailable server, and do not fail half-way
# acdirmin=1,acdirmax=1  a name that was looked up in vain counts as absent for at most 1 s:
#               nix-remote ends a copy no earlier than that after its last path became valid
#               (NIX_REMOTE_SETTLE)
# nosuid,nodev  a Nix store has no setuid files or devices; ignore them
# _netdev               mount after the network is up
# nofail                boot even if the server is unavailable
nix.example.org:/nix/store /nix/store nfs ro,nfsvers=4.2,hard,acdirmin=1,acdirmax=1,nosuid,nodev,_netdev,nofail 0 0
END-OF-FILE
chmod 644 /etc/fstab.nix-remote.new
mv /etc/fstab.nix-remote.new /etc/fstab.nix-remote

# The mount would hide a local store.
mkdir -p /nix/store
if ! grep -q ' /nix/store ' /proc/self/mounts && [ -n "$(ls -A /nix/store)" ]; then
  echo "/nix/store of this machine is not empty: an executor has the server's store, or its own" >&2
  exit 1
fi
# Replaces an earlier line for the same folder. If fstab is a link, replaces its target.
[ -e /etc/fstab ] || : >/etc/fstab
fstab=$(readlink -f /etc/fstab)
cp -p "$fstab" "$fstab.new"
awk '$1 ~ /^#/ || $2 != "/nix/store"' "$fstab" >"$fstab.new"
grep -v '^#' /etc/fstab.nix-remote >>"$fstab.new"
mv "$fstab.new" "$fstab"
# To change the options of an existing mount, it must be mounted again.
if grep -q ' /nix/store ' /proc/self/mounts; then umount /nix/store; fi
mount /nix/store
# Every Nix store has this folder: it shows that the store is mounted.
[ -d /nix/store/.links ] || {
  echo "/nix/store is mounted, but it is no Nix store" >&2
  exit 1
}
}
main
