# For root on the Nix server: nix-remote setup server … | ssh root@SERVER sh
# It can be run again: what is there is replaced, or left if it is right.
set -eu

mkdir -p /usr/local/bin
cat >/usr/local/bin/nix-remote-dispatcher.new <<'END-OF-FILE'
#!/bin/sh
# nix-remote-dispatcher: lets an account do what nix-remote needs of a Nix server, nothing else.
#
# It is the forced command of a key in authorized_keys. What the client asks for comes in
# SSH_ORIGINAL_COMMAND, and is never given to a shell unless it is, to the last byte, one of
# the texts below.
#
# Nothing in the account's home folder is ever run, and the account must not own that folder:
# a durable root is a link at a place of the client's choice, with content of its choice.
set -euf
LC_ALL=C
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/local/bin:/usr/bin:/bin
roots=.local/state/nix-remote/gcroots
asked=${SSH_ORIGINAL_COMMAND-}

run() {
  exec env -i HOME="$HOME" USER="${USER-}" PATH="$PATH" "$@"
}

refuse() {
  echo "nix-remote-dispatcher: this account may not run that" >&2
  exit 126
}

# Reads store paths and compares them with their hashes. Quotes come with names that have a `?`.
verify() {
  set -- $(printf %s "$asked" | tr -d "'")
  shift 2
  for path; do
    case ${path#/nix/store/} in "$path" | '' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
  done
  run nix-store --verify-path "$@"
}

list=$(
  cat <<'END'
sh -c 'date +%s; cd "$HOME/.local/state/nix-remote/gcroots" 2>/dev/null || exit 0; find . -type l -exec stat -c "%Y %n" {} +'
END
)
remove=$(
  cat <<'END'
sh -c 'cd "$HOME/.local/state/nix-remote/gcroots" || exit 1; while read -r used link; do [ "$(stat -c %Y "$link" 2>/dev/null)" = "$used" ] || continue; mv "$link" "$link.leaving" 2>/dev/null || continue; if [ "$(stat -c %Y "$link.leaving")" = "$used" ]; then rm "$link.leaving" && echo "$link"; else mv -n "$link.leaving" "$link"; rm -f "$link.leaving"; fi; done; find . -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true'
END
)
look=$(
  cat <<'END'
sh -c 'for folder in /nix/store /nix/var/nix/db; do echo "disk $folder $(stat --file-system --format="%a %S %c %d" "$folder")"; done; while read -r _ point _ options _; do echo "mount $point $options"; done </proc/self/mounts'
END
)

exports=$(
  cat <<'END'
sh -c 'for file in /etc/exports /etc/exports.d/*.exports; do [ -r "$file" ] && sed "s|^|export |" "$file"; done; for file in /proc/net/tcp /proc/net/tcp6; do while read -r _ at _ state _; do [ "$state" = 0A ] && echo "listen ${at##*:}"; done <"$file"; done; echo "threads $(cat /proc/fs/nfsd/threads 2>/dev/null)"; echo "timer $(systemctl is-enabled nix-remote-collect.timer 2>/dev/null)"'
END
)

case $asked in
  'nix-daemon --stdio') run nix-daemon --stdio ;;
  'nix-store --serve --write') run nix-store --serve --write ;;
  'nix-store --gc --max-freed 0') run nix-store --gc --max-freed 0 ;;
  "$list" | "$remove" | "$look" | "$exports") run sh -c "$asked" ;;
  'nix-store --verify-path '*) verify ;;
  'nix-store --realise '*' --add-root '*) ;;
  *) refuse ;;
esac

# A durable root of a path, in the folder for them. Quotes come with names that have a `?`.
set -- $(printf %s "$asked" | tr -d "'")
[ "$#" = 5 ] && [ "$1 $2 $4" = 'nix-store --realise --add-root' ] || refuse
path=${3#/nix/store/}
link=${5#"$roots"/}
[ "$path" != "$3" ] && [ "$link" != "$5" ] || refuse
case $path in '' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
case /$link/ in *[!0-9A-Za-z+._?=/-]* | *//* | */./* | */../*) refuse ;; esac
run nix-store --realise "/nix/store/$path" --add-root "$roots/$link"
END-OF-FILE
chmod 755 /usr/local/bin/nix-remote-dispatcher.new
mv /usr/local/bin/nix-remote-dispatcher.new /usr/local/bin/nix-remote-dispatcher

mkdir -p /etc/nix
cat >/etc/nix/nix-remote.conf.new <<'END-OF-FILE'
# Included by nix.conf. What this key has signed is taken from everybody; the account itself is
# not trusted with more than that. Copies are signed with its secret half (--sign-key).
extra-trusted-public-keys = ci-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
END-OF-FILE
chmod 644 /etc/nix/nix-remote.conf.new
mv /etc/nix/nix-remote.conf.new /etc/nix/nix-remote.conf

mkdir -p /etc/exports.d
cat >/etc/exports.d/nix-remote.exports.new <<'END-OF-FILE'
# The store, and nothing else of this machine, for the executors. exports(5) has the options.
# ro                executors read; all that is written goes through Nix on this machine
# sync              the default, written down: nothing is answered before it is on the disk
# no_subtree_check  Nix adds paths by renaming, which checks of subtrees stumble over
# root_squash       root of an executor is nobody here; all of a store can be read by everybody
# fsid              the name of the export, since its file system has no UUID to go by
/nix/store 10.1.0.0/16(ro,sync,no_subtree_check,root_squash,fsid=1) fd00::/8(ro,sync,no_subtree_check,root_squash,fsid=1)
END-OF-FILE
chmod 644 /etc/exports.d/nix-remote.exports.new
mv /etc/exports.d/nix-remote.exports.new /etc/exports.d/nix-remote.exports

mkdir -p /etc/nfs.conf.d
cat >/etc/nfs.conf.d/nix-remote.conf.new <<'END-OF-FILE'
# Threads that answer executors. Starting many actions at once is many small questions at once:
# with the usual 8 or 16, some wait although the disk does not.
[nfsd]
threads=32
END-OF-FILE
chmod 644 /etc/nfs.conf.d/nix-remote.conf.new
mv /etc/nfs.conf.d/nix-remote.conf.new /etc/nfs.conf.d/nix-remote.conf

mkdir -p /usr/local/bin
cat >/usr/local/bin/nix-remote-collect.new <<'END-OF-FILE'
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
export HOME=/var/lib/nix-remote
# Seconds since a root was last used, after which it goes.
keep=2592000
# Seconds within which a root is never removed, whatever the disk says.
grace=86400
# KiB that the store's disk should have free.
room=20971520

list() {
date +%s; cd "$HOME/.local/state/nix-remote/gcroots" 2>/dev/null || exit 0; find . -type l -exec stat -c "%Y %n" {} +
}
remove() {
cd "$HOME/.local/state/nix-remote/gcroots" || exit 1; while read -r used link; do [ "$(stat -c %Y "$link" 2>/dev/null)" = "$used" ] || continue; mv "$link" "$link.leaving" 2>/dev/null || continue; if [ "$(stat -c %Y "$link.leaving")" = "$used" ]; then rm "$link.leaving" && echo "$link"; else mv -n "$link.leaving" "$link"; rm -f "$link.leaving"; fi; done; find . -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
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
END-OF-FILE
chmod 755 /usr/local/bin/nix-remote-collect.new
mv /usr/local/bin/nix-remote-collect.new /usr/local/bin/nix-remote-collect

mkdir -p /etc/systemd/system
cat >/etc/systemd/system/nix-remote-collect.service.new <<'END-OF-FILE'
# What the timer of the same name starts: /usr/local/bin/nix-remote-collect says what it does.
[Unit]
Description=Remove durable roots of nix-remote that nobody uses, and collect garbage
After=nix-daemon.service

[Service]
Type=oneshot
ExecStart=/usr/local/bin/nix-remote-collect
# The owner of the roots. Nix collects for everybody, so no more power is needed.
User=nix-remote
# Copies and builds come first.
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=true
END-OF-FILE
chmod 644 /etc/systemd/system/nix-remote-collect.service.new
mv /etc/systemd/system/nix-remote-collect.service.new /etc/systemd/system/nix-remote-collect.service

mkdir -p /etc/systemd/system
cat >/etc/systemd/system/nix-remote-collect.timer.new <<'END-OF-FILE'
# Once a day. See what it would do: sudo -u ACCOUNT nix-remote-collect --dry-run
[Unit]
Description=Keep the Nix server from filling up

[Timer]
OnCalendar=daily
# Not at the same minute on every server; and later, if the machine was off.
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
END-OF-FILE
chmod 644 /etc/systemd/system/nix-remote-collect.timer.new
mv /etc/systemd/system/nix-remote-collect.timer.new /etc/systemd/system/nix-remote-collect.timer

# An account that owns nothing in its home folder but where durable roots go: see docs/security.md.
getent passwd nix-remote >/dev/null ||
  useradd --system --user-group --shell /bin/sh --password '*' --home-dir /var/lib/nix-remote nix-remote
install -d -o root -g root -m 755 /var/lib/nix-remote /var/lib/nix-remote/.ssh /var/lib/nix-remote/.local /var/lib/nix-remote/.local/state
install -d -o nix-remote -g nix-remote -m 755 /var/lib/nix-remote/.local/state/nix-remote /nix/var/nix/gcroots/nix-remote/nix-remote
authorized=/var/lib/nix-remote/.ssh/authorized_keys
touch "$authorized"
chmod 644 "$authorized"
line='restrict,command="/usr/local/bin/nix-remote-dispatcher" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v'
grep -qxF "$line" "$authorized" || echo "$line" >>"$authorized"

# Nix reads what nix.conf includes; its daemon reads it when it starts.
line='!include nix-remote.conf'
touch /etc/nix/nix.conf
grep -qxF "$line" /etc/nix/nix.conf || echo "$line" >>/etc/nix/nix.conf
if [ -d /run/systemd/system ]; then systemctl try-restart nix-daemon.service; fi

# A store that Nix has never opened lacks the folder /nix/store/.links, by which executors know it.
[ -d /nix/store/.links ] || nix-store --init

# The kernel's NFS server, the export, and the timer that removes what nobody needs.
command -v exportfs >/dev/null || {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-kernel-server
}
if command -v systemctl >/dev/null; then systemctl enable nfs-server.service nix-remote-collect.timer; fi
if [ -d /run/systemd/system ]; then
  # Only executors get through the firewall, where it is ufw's. NFS 4 needs no other port.
  if command -v ufw >/dev/null && ufw status | grep -q '^Status: active'; then
    ufw allow proto tcp from 10.1.0.0/16 to any port 2049
    ufw allow proto tcp from fd00::/8 to any port 2049
  fi
  systemctl daemon-reload
  # Restarted, not started: it may be running with another number of threads.
  systemctl restart nfs-server.service nix-remote-collect.timer
  # "requires fsid=": the file system has no UUID; run setup again with --fsid 1.
  exportfs -ra
else
  echo "there is no systemd here: start the NFS server (port 2049), and run" \
    "nix-remote-collect once a day, by other means" >&2
fi
