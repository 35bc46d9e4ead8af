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

# What is left to decide, in nix.conf. The first gives the account less power over the server:
#   extra-trusted-public-keys = NAME-1:…   and copies are signed (nix-remote copy --sign-key)
#   extra-trusted-users = nix-remote
