#!/bin/bash
# What the lab tells a whole system at boot: its name, address, SSH keys. Started by lab.service
# of images.SYSTEM_SERVER, before anything that needs them; /lab/machine is a folder of its room.
set -eu
lab=/lab/machine
hostname "$(cat $lab/name)"
cp $lab/hosts /etc/hosts
ip link set lo up
ip address add "$(cat $lab/address)" dev vec0
ip link set vec0 up
rm -f /etc/ssh/ssh_host_*
install -m 600 $lab/lab_host_key /etc/ssh/ssh_host_ed25519_key
install -m 644 $lab/lab_host_key.pub /etc/ssh/ssh_host_ed25519_key.pub
# Where the lab's other hosts have theirs.
cp $lab/lab_host_key.pub /etc/ssh/
install -d -m 700 /root/.ssh
# Empty: the power failed before the disk had its content.
[ -s /root/.ssh/authorized_keys ] || install -m 600 $lab/authorized_keys /root/.ssh/authorized_keys
