#!/bin/sh
# nix-remote-collect: keeps a Nix server from filling up. A timer runs it once a day.
#
#   nix-remote-collect [--dry-run]
#
# It removes durable roots that no copy has used for long, and then lets Nix collect what
# nothing keeps. While the disk has too little room, it goes on with roots half as old, and
# half of that, but never with those used within the grace time: a build may need them now.
# It runs as the account that owns the roots, and needs no other power.
set -eu
LC_ALL=C
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/local/bin:/usr/bin:/bin
export LC_ALL PATH

# The account's home folder: its roots are below it.
export HOME=@HOME@
# Seconds since a root was last used, after which it goes.
keep=@KEEP@
# Seconds within which a root is never removed, whatever the disk says.
grace=@GRACE@
# KiB that the store's disk should have free.
room=@ROOM@

list() {
@LIST@
}
remove() {
@REMOVE@
}
# Those of the listed roots that are older than so many seconds: time of last use, and link.
older_than() {
  awk -v age="$1" 'NR == 1 { now = $1; next } now - $1 > age { print $1, substr($2, 3) }'
}
free() {
  df -Pk /nix/store | awk 'NR == 2 { print $4 }'
}

if [ "${1-}" = --dry-run ]; then
  echo "free: $(free) KiB, wanted: $room KiB; roots not used for $keep s:"
  list | older_than "$keep"
  exit 0
fi

while :; do
  list | older_than "$keep" | remove | sed "s/^/removed: /"
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
