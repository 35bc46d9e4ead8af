# For root on an executor: nix-remote setup executor … | ssh root@EXECUTOR sh
# It can be run again: what is there is replaced, or left if it is right.
set -eu
main() {
# What mounts NFS.
command -v mount.nfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-common
}

mkdir -p /etc
cat >/etc/fstab.nix-remote.new <<'END-OF-FILE'
# Lines for /etc/fstab: the Nix server's store, read-only.
# ro                    nothing on this machine can change the store
# nfsvers=4.2           one port (2049), and no rpcbind, mountd and statd beside it
# hard                  a server that is away is waited for; reads never fail half-way
# lookupcache=positive  "no such file" is never remembered: a path that has just been copied is
#                       seen at once, even where it was looked for in vain a moment ago
# nosuid,nodev          a Nix store has no such files; what claims to be one is not obeyed
# _netdev               not before there is a network
# nofail                without the server the machine still comes up, and can be looked at
[fd00::20]:/nix/store /nix/store nfs ro,nfsvers=4.2,hard,lookupcache=positive,nosuid,nodev,_netdev,nofail 0 0
END-OF-FILE
chmod 644 /etc/fstab.nix-remote.new
mv /etc/fstab.nix-remote.new /etc/fstab.nix-remote

# A store of this machine's own would be hidden below the mount.
mkdir -p /nix/store
if ! grep -q ' /nix/store ' /proc/self/mounts && [ -n "$(ls -A /nix/store)" ]; then
  echo "/nix/store of this machine is not empty: an executor has the server's store, or its own" >&2
  exit 1
fi
# In place of an earlier line for the same folder. The file behind a link is replaced, not the link.
[ -e /etc/fstab ] || : >/etc/fstab
fstab=$(readlink -f /etc/fstab)
cp -p "$fstab" "$fstab.new"
awk '$1 ~ /^#/ || $2 != "/nix/store"' "$fstab" >"$fstab.new"
grep -v '^#' /etc/fstab.nix-remote >>"$fstab.new"
mv "$fstab.new" "$fstab"
# Other options than those of a mount that is there take a new mount.
if grep -q ' /nix/store ' /proc/self/mounts; then umount /nix/store; fi
mount /nix/store
# Every Nix store has this folder: by it one sees that the store is there.
[ -d /nix/store/.links ] || {
  echo "/nix/store is mounted, but it is no Nix store" >&2
  exit 1
}
}
main
