# A Nix server for nix_remote: nix-remote setup server --system nixos …
{ pkgs, ... }:
let
  # Programs as nix_remote ships them; each says at its top what it does.
  dispatcher = pkgs.writeScript "nix-remote-dispatcher" ''
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
asked=''${SSH_ORIGINAL_COMMAND-}

run() {
  exec env -i HOME="$HOME" USER="''${USER-}" PATH="$PATH" "$@"
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
    case ''${path#/nix/store/} in "$path" | ''' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
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
sh -c 'for file in /etc/exports /etc/exports.d/*.exports; do [ -r "$file" ] && sed "s|^|export |" "$file"; done; for file in /proc/net/tcp /proc/net/tcp6; do while read -r _ at _ state _; do [ "$state" = 0A ] && echo "listen ''${at##*:}"; done <"$file"; done; echo "threads $(cat /proc/fs/nfsd/threads 2>/dev/null)"; echo "timer $(systemctl is-enabled nix-remote-collect.timer 2>/dev/null)"'
END
)

case $asked in
  'nix-daemon --stdio') run nix-daemon --stdio ;;
  'nix-store --serve --write') run nix-store --serve --write ;;
  'nix-store --version') run nix-store --version ;;
  'nix-store --gc --max-freed 0') run nix-store --gc --max-freed 0 ;;
  "$list" | "$remove" | "$look" | "$exports") run sh -c "$asked" ;;
  'nix-store --verify-path '*) verify ;;
  'nix-store --realise '*' --add-root '*) ;;
  *) refuse ;;
esac

# A durable root of a path, in the folder for them. Quotes come with names that have a `?`.
set -- $(printf %s "$asked" | tr -d "'")
[ "$#" = 5 ] && [ "$1 $2 $4" = 'nix-store --realise --add-root' ] || refuse
path=''${3#/nix/store/}
link=''${5#"$roots"/}
[ "$path" != "$3" ] && [ "$link" != "$5" ] || refuse
case $path in ''' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
case /$link/ in *[!0-9A-Za-z+._?=/-]* | *//* | */./* | */../*) refuse ;; esac
run nix-store --realise "/nix/store/$path" --add-root "$roots/$link"
'';
  collect = pkgs.writeScript "nix-remote-collect" ''
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

if [ "''${1-}" = --dry-run ]; then
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
'';
in
{
  # An account that owns nothing in its home folder but where durable roots go, and whose key
  # can start one program: see docs/security.md.
  environment.etc."nix-remote/dispatcher".source = dispatcher;
  users.groups."nix-remote" = { };
  users.users."nix-remote" = {
    isSystemUser = true;
    group = "nix-remote";
    home = "/var/lib/nix-remote";
    shell = "/bin/sh";
    # The key, tied to the dispatcher. NixOS keeps this file in /etc, owned by root.
    openssh.authorizedKeys.keys = [ "restrict,command=\"/usr/local/bin/nix-remote-dispatcher\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v" ];
  };
  systemd.tmpfiles.rules = [
    "d /var/lib/nix-remote 0755 root root -"
    "d /var/lib/nix-remote/.local 0755 root root -"
    "d /var/lib/nix-remote/.local/state 0755 root root -"
    "d /var/lib/nix-remote/.local/state/nix-remote 0755 nix-remote nix-remote -"
    # A second place for durable roots, which the daemon sees even if it cannot see homes.
    "d /nix/var/nix/gcroots/nix-remote/nix-remote 0755 nix-remote nix-remote -"
    # Where the key's line says the dispatcher is.
    "L+ /usr/local/bin/nix-remote-dispatcher - - - - /etc/nix-remote/dispatcher"
  ];
  services.openssh.enable = true;

  # What this key has signed is taken from everybody; the account is not trusted with more.
  nix.settings.trusted-public-keys = [ "ci-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" ];

  # The store, and nothing else of this machine, for the executors.
  # ro                executors read; all that is written goes through Nix on this machine
  # sync              the default, written down: nothing is answered before it is on the disk
  # no_subtree_check  Nix adds paths by renaming, which checks of subtrees stumble over
  # root_squash       root of an executor is nobody here; all of a store can be read by everybody
  services.nfs.server.enable = true;
  services.nfs.server.exports = "/nix/store 10.1.0.0/16(ro,sync,no_subtree_check,root_squash,fsid=1) fd00::/8(ro,sync,no_subtree_check,root_squash,fsid=1)";
  # Starting many actions at once is many small questions at once.
  services.nfs.server.nproc = 32;
  # All that NFS 4 needs. Who may mount, the export says.
  networking.firewall.allowedTCPPorts = [ 2049 ];

  # Once a day: removes durable roots that nobody uses, and collects garbage.
  systemd.services.nix-remote-collect = {
    after = [ "nix-daemon.service" ];
    startAt = "daily";
    serviceConfig = {
      ExecStart = "${collect}";
      # The owner of the roots. Nix collects for everybody, so no more power is needed.
      User = "nix-remote";
      # Copies and builds come first.
      Nice = 10;
      IOSchedulingClass = "idle";
      NoNewPrivileges = true;
    };
  };
}
