#!/bin/bash
# The first process of a host with a kernel of its own. Started by that kernel, which
# kernel_host.py started; its root is the room's root, through hostfs.
#
#   kernel_init.sh NAME ADDRESS/BITS
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
for folder in /run /tmp /var/tmp /var/cache; do mount -t tmpfs tmpfs $folder; done
ln -sfn /proc/self/fd /dev/fd
hostname "$1"
ip link set lo up
ip address add "$2" dev vec0
ip link set vec0 up
mkdir -p /run/sshd
/usr/sbin/sshd -E /run/sshd.log -o HostKey=/etc/ssh/lab_host_key -o PermitRootLogin=yes
# What mounting with NFS 3 needs beside the kernel.
rpcbind -w
rpc.statd --no-notify
while :; do sleep 3600 & wait $!; done
