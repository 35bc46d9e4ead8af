#!/bin/bash
# The first process of a host. Started by host.py in fresh mount, process, name
# and IPC namespaces, inside the network namespace of that host.
#
#   LOWER UPPER WORK ROOT   overlay: read-only trees, writable part, work, mount point
#   STORE                   the folder that becomes /nix
#   STORE_SIZE              empty, or the size of a tmpfs that becomes /nix instead
#   SHARED_STORE            empty, or another host's store, seen read-only as /nix/store
#   BINDS                   lines "SOURCE TARGET": read-only views of outer folders
#   NAME HOSTS_FILE         the host's name; its /etc/hosts
#
# pivot_root, not chroot: the kernel refuses user namespaces inside a chroot, and
# Nix's sandbox, bubblewrap and Bazel's sandbox need them.
set -eu

mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$ROOT"
mkdir -p "$ROOT/nix" "$ROOT/.outer"
if [ -n "$STORE_SIZE" ]; then
  mount -t tmpfs -o "size=$STORE_SIZE,mode=755" tmpfs "$ROOT/nix"
  mkdir -p "$ROOT/nix/var"
  install -d -m 1775 "$ROOT/nix/store"
else
  mount --bind "$STORE" "$ROOT/nix"
fi
if [ -n "$SHARED_STORE" ]; then
  mount --bind "$SHARED_STORE" "$ROOT/nix/store"
  mount -o remount,bind,ro "$ROOT/nix/store"
fi

mount -t proc proc "$ROOT/proc"
mount -t sysfs -o ro sysfs "$ROOT/sys"
mount -t tmpfs tmpfs "$ROOT/run"
mount -t tmpfs tmpfs "$ROOT/tmp"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
for device in null zero full random urandom tty; do
  touch "$ROOT/dev/$device"
  mount --bind "/dev/$device" "$ROOT/dev/$device"
done
mkdir "$ROOT/dev/pts" "$ROOT/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$ROOT/dev/pts"
mount -t tmpfs tmpfs "$ROOT/dev/shm"
ln -s pts/ptmx "$ROOT/dev/ptmx"
ln -s /proc/self/fd "$ROOT/dev/fd"
ln -s /proc/self/fd/0 "$ROOT/dev/stdin"
ln -s /proc/self/fd/1 "$ROOT/dev/stdout"
ln -s /proc/self/fd/2 "$ROOT/dev/stderr"

while read -r source target; do
  [ -n "$source" ] || continue
  if [ -d "$source" ]; then mkdir -p "$ROOT$target"; else mkdir -p "$(dirname "$ROOT$target")"; touch "$ROOT$target"; fi
  mount --bind "$source" "$ROOT$target"
  mount -o remount,bind,ro "$ROOT$target"
done <<<"$BINDS"

hostname "$NAME"
echo "$NAME" >"$ROOT/etc/hostname"
rm -f "$ROOT/etc/resolv.conf"
: >"$ROOT/etc/resolv.conf"
cp "$HOSTS_FILE" "$ROOT/etc/hosts"

cd "$ROOT"
pivot_root . .outer
# A shell stays as the first process: it reaps what other processes leave behind.
exec /usr/bin/env -i PATH=/usr/sbin:/usr/bin /bin/bash -c '
  umount -l /.outer
  touch /run/host-is-up
  while :; do sleep 3600 & wait $!; done
' </dev/null
