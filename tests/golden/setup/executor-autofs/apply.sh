# For root on an executor: nix-remote setup executor … | ssh root@EXECUTOR sh
# It can be run again: what is there is replaced, or left if it is right.
set -eu
main() {
# What mounts NFS.
command -v mount.nfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-common
}

mkdir -p /etc/auto.master.d
cat >/etc/auto.master.d/nix-remote.autofs.new <<'END-OF-FILE'
# Mounts that are named in full (a direct map): at the folder itself, not below another.
/- /etc/auto.nix-remote
END-OF-FILE
chmod 644 /etc/auto.master.d/nix-remote.autofs.new
mv /etc/auto.master.d/nix-remote.autofs.new /etc/auto.master.d/nix-remote.autofs

mkdir -p /etc
cat >/etc/auto.nix-remote.new <<'END-OF-FILE'
# The Nix server's store, read-only, mounted at first use.
# ro                    nothing on this machine can change the store
# nfsvers=4.2           one port (2049), and no rpcbind, mountd and statd beside it
# hard                  a server that is away is waited for; reads never fail half-way
# lookupcache=positive  "no such file" is never remembered: a path that has just been copied is
#                       seen at once, even where it was looked for in vain a moment ago
# nosuid,nodev          a Nix store has no such files; what claims to be one is not obeyed
/nix/store -fstype=nfs,ro,nfsvers=4.2,hard,lookupcache=positive,nosuid,nodev nix.example.org:/nix/store
END-OF-FILE
chmod 644 /etc/auto.nix-remote.new
mv /etc/auto.nix-remote.new /etc/auto.nix-remote

# A store of this machine's own would be hidden below the mount.
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
# Every Nix store has this folder: by it one sees that the store is there.
[ -d /nix/store/.links ] || {
  echo "/nix/store is mounted, but it is no Nix store" >&2
  exit 1
}
}
main
