# For root on an executor: nix-remote setup executor … | ssh root@EXECUTOR sh
# It can be run again: what is there is replaced, or left if it is right.
set -eu
main() {
# What mounts NFS.
command -v mount.nfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-common
}

mkdir -p /etc/systemd/system
cat >/etc/systemd/system/nix-store.mount.new <<'END-OF-FILE'
# The Nix server's store, read-only. The unit has to be named after the folder.
[Unit]
Description=The Nix server's store
Wants=network-online.target
After=network-online.target

[Mount]
What=nix.example.org:/nix/store
Where=/nix/store
Type=nfs
# ro                    nothing on this machine can change the store
# nfsvers=4.2           one port (2049), and no rpcbind, mountd and statd beside it
# hard                  a server that is away is waited for; reads never fail half-way
# lookupcache=positive  "no such file" is never remembered: a path that has just been copied is
#                       seen at once, even where it was looked for in vain a moment ago
# nosuid,nodev          a Nix store has no such files; what claims to be one is not obeyed
Options=ro,nfsvers=4.2,hard,lookupcache=positive,nosuid,nodev
# A server that does not answer is an error, told after a minute; systemd then tries no more.
TimeoutSec=60

[Install]
WantedBy=remote-fs.target
END-OF-FILE
chmod 644 /etc/systemd/system/nix-store.mount.new
mv /etc/systemd/system/nix-store.mount.new /etc/systemd/system/nix-store.mount

# A store of this machine's own would be hidden below the mount.
mkdir -p /nix/store
if ! grep -q ' /nix/store ' /proc/self/mounts && [ -n "$(ls -A /nix/store)" ]; then
  echo "/nix/store of this machine is not empty: an executor has the server's store, or its own" >&2
  exit 1
fi
# The unit of the worker that takes actions should say this, so that it takes none without a store:
#   [Unit]
#   RequiresMountsFor=/nix/store
systemctl daemon-reload
systemctl enable nix-store.mount
systemctl restart nix-store.mount
# Every Nix store has this folder: by it one sees that the store is there.
[ -d /nix/store/.links ] || {
  echo "/nix/store is mounted, but it is no Nix store" >&2
  exit 1
}
}
main
