#!/bin/sh
# nix-remote-collect: keeps a Nix server from filling up. A timer runs it once a day.
#
#   nix-remote-collect [--dry-run | --trust-clock]
#
# It removes durable roots that no copy has used for a long time, then collects garbage. While the
# disk has too little free space, it continues with roots half as old, and so on, but never with
# roots used within the grace time, because a build may need them.
#
# Ages depend on the clock, which can be wrong. It removes nothing if the clock has moved relative
# to the uptime of the machine, or if no root was used or made for as long as roots are kept. It
# keeps new roots whose time is before the last run: they were made while the clock was wrong. If
# the clock is right: nix-remote-collect --trust-clock.
#
# It runs as the account that owns the roots, and needs no other rights. If root runs it, it drops
# root's rights.
set -eu
LC_ALL=C
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/local/bin:/usr/bin:/bin
export LC_ALL PATH
umask 022

account=@ACCOUNT@
if [ "$(id -un)" != "$account" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "nix-remote-collect: run it as $account, or as root" >&2
    exit 1
  fi
  exec setpriv --reuid "$account" --regid "$(id -g "$account")" --init-groups "$0" "$@"
fi

# The account's home folder, which contains its roots.
export HOME=@HOME@
# Seconds. Roots used within that time are removed only if the disk is too full.
keep=@KEEP@
# Seconds. Roots used within that time are never removed.
grace=@GRACE@
# Free space that the store's disk should have, in KiB.
room=@ROOM@
# In case the lines above were edited: the larger value applies.
[ "$keep" -ge "$grace" ] || keep=$grace

state=$HOME/.local/state/nix-remote/collect
mkdir -p "$state"
cd "$state"

list() {
@LIST@
}
remove() {
@REMOVE@
}
free() {
  df -Pk /nix/store | awk 'NR == 2 { print $4 }'
}
# Prints the records of the roots, sorted. Writes the time of the list to the file `now`.
roots() {
  # In a subshell: a failing list exits its shell.
  (list) >listed
  [ "$(tail -n 1 listed)" = end ] || { echo "nix-remote-collect: no complete list" >&2; exit 1; }
  sed -n '1s/.* //p' listed >now
  sed '1d; $d; /^other$/d' listed | sort
}
# Prints the roots on standard input that are older than the given number of seconds.
older_than() {
  awk -v age="$1" -v now="$now" 'now - $2 > age'
}
refuse() {
  echo "nix-remote-collect: no root is removed: $1" >&2
  echo "If the clock is right: nix-remote-collect --trust-clock" >&2
  exit 1
}

roots >roots.new
now=$(cat now)
boot=$(cat /proc/sys/kernel/random/boot_id)
read -r up _ </proc/uptime
up=${up%.*}

# `clock` has the time of the last run whose clock was right, its boot ID and its uptime. The clock
# may differ from the uptime by at most an hour; after a boot, by half of the time for which roots
# are kept, because the machine may have been off.
if [ "${1-}" != --trust-clock ] && [ -s roots.new ]; then
  newest=$(awk '{ t = $2 > $3 ? $2 : $3; if (t > n) n = t } END { printf "%.0f", n }' roots.new)
  [ $((now - newest)) -le "$keep" ] || refuse "none was used or made for $((now - newest)) s"
  if [ -f clock ]; then
    read -r last last_boot last_up <clock
    ahead=$((now - last - up)) slack=$((keep / 2))
    if [ "$boot" = "$last_boot" ] && [ "$up" -ge "$last_up" ]; then
      ahead=$((ahead + last_up)) slack=3600
    fi
    [ "$ahead" -le "$slack" ] && [ "$ahead" -ge -3600 ] || refuse "the clock has moved by $ahead s"
  fi
fi

# `seen` has the roots of the last run. A new root whose time is before that run is kept until the
# next run.
if [ -f seen ] && [ -f clock ]; then
  read -r last _ <clock
  comm -13 seen roots.new | awk -v last="$last" '$3 < last' >doubtful
  comm -23 roots.new doubtful >candidates
else
  cp roots.new candidates
fi
others=$(grep -c '^other$' listed || true)
[ "$others" = 0 ] || echo "links that were not made by copies, and stay: $others"

if [ "${1-}" = --dry-run ]; then
  echo "free: $(free) KiB, wanted: $room KiB; roots not used for $keep s:"
  older_than "$keep" <candidates | cut -d ' ' -f 4
  exit 0
fi
echo "$now $boot $up" >clock.new
mv clock.new clock
mv roots.new seen

while :; do
  older_than "$keep" <candidates >old
  # One part at a time, which is held in memory, in a subshell as above. Roots that no longer exist
  # are skipped. Without any part, an interrupted removal is completed.
  rm -f old.*
  split -l 20000 -a 4 old old.
  [ -s old ] || : >old.none
  for part in old.*; do
    (remove) <"$part" >removed || { cat removed; exit 1; }
    sed -n 's/^removed [0-9]* /removed: /p' removed
  done
  nix-store --gc --quiet
  [ "$(free)" -lt "$room" ] || exit 0
  if [ "$keep" -le "$grace" ]; then
    echo "the disk of /nix/store has $(free) KiB free, and $room were wanted: what is left" \
      "was used within $grace s, or something else keeps it (nix-store --gc --print-roots)" >&2
    exit 1
  fi
  keep=$((keep / 2))
  [ "$keep" -ge "$grace" ] || keep=$grace
done
