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
sh -c 'LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "${HOME%/}/.local/state/nix-remote/gcroots"; echo "nix-remote-roots 2 $(date +%s)"; number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; find . -ignore_readdir_race -mindepth 1 -name ".*" -prune -o -type l "(" -path "./*/*/*" -not -path "./*/*/*/*" -not -path "*[^0-9A-Za-z+._?=/-]*" -lname "/nix/store/*" -not -lname "*[^0-9A-Za-z+._?=/-]*" -printf "$number %T@ %C@ %P %l\n" -o -printf "other\n" ")" || exit 1; done; echo end'
END
)
remove=$(
  cat <<'END'
sh -c 'LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "${HOME%/}/.local/state/nix-remote/gcroots"; barrier() { nix-store --gc --max-freed 0 >said 2>&1 || { cat said >&2; exit 1; }; }; enter() { cd -P "$root/${1%/*}" 2>/dev/null && [ "$PWD" = "$root/${1%/*}" ]; }; own() { tries=0; : >nix-remote-slot; until own=$(nix-store --add "$work/nix-remote-slot") && nix-store --realise "$own" --add-root "$work/own" >said; do tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; done; }; renew() { case $2 in *.drv) false;; *) nix-store --realise "$2" --add-root "$root/$1" >said 2>&1;; esac || { own && nix-store --realise "$own" --add-root "$root/$1" >said && ln -s "$2" new && mv -fT new "$root/$1"; }; }; finish() { [ -f plan ] || return 0; barrier; find slots.* -type l -printf "%p %T@\n" | sort >now; : >done; : >again; join now plan >left || exit 1; while read -r slot is was changed name target; do case $is in 0.*) echo "$slot" >>done; continue;; esac; there=no; if enter "$name" && [ -L "./${name##*/}" ]; then there=yes; fi; cd "$work"; if [ "$there $is" = "no $was" ]; then echo "$slot" >>done; echo "removed $number $name"; else renew "$name" "$target" || exit 1; echo "$slot $name $target" >>again; echo busy; fi; done <left; xargs rm -f <done; [ -s again ] || return 0; barrier; while read -r slot name target; do renew "$name" "$target" || exit 1; done <again; barrier; cut -d " " -f 1 again | xargs rm -f; }; take() { cd "$root" || exit 1; find . -ignore_readdir_race -mindepth 1 -name ".*" -prune -o -type l -path "./*/*/*" -not -path "./*/*/*/*" -not -path "*[^0-9A-Za-z+._?=/-]*" -lname "/nix/store/*" -not -lname "*[^0-9A-Za-z+._?=/-]*" -printf "%T@ %C@ %P %l\n" >"$work/found" || exit 1; cd "$work" || exit 1; sort -o found found; printf "%s\n" "$wanted" | sed -n "s/^$number //p" | sort -u | comm -12 - found >taken; count=$(wc -l <taken); [ $count -gt 0 ] || return 0; own; set --; while [ $# -lt 500 ] && [ $# -lt $count ]; do set -- "$@" "$own"; done; page=0; made=0; slots=$(mktemp -d slots.XXXXXXXXXX) && mkdir guards || exit 1; while [ $made -lt $count ]; do while [ $# -gt $((count - made)) ]; do shift; done; mkdir $slots/$page guards/$page; nix-store --realise "$@" --add-root "$work/$slots/$page/slot" >made || exit 1; sed "s|.*/$slots/|$slots/|" made >>names; made=$((made + $#)); page=$((page + 1)); echo busy; done; paste -d " " names taken | sort >planned; made=0; while read -r slot was changed name target; do ln -s "$target" "guards/${slot#*/}" || exit 1; made=$((made + 1)); case $made in *00) echo busy;; esac; done <planned; find guards -type l -exec touch -h -d @0 {} + || exit 1; while [ $page -gt 0 ]; do page=$((page - 1)); find guards/$page -type l -exec mv -f -t $slots/$page {} + || exit 1; done; barrier; mv planned plan; made=0; while read -r slot was changed name target; do if enter "$name" && [ -L "./${name##*/}" ]; then mv -fT "./${name##*/}" "$work/$slot"; fi; made=$((made + 1)); case $made in *00) echo busy;; esac; done <plan; cd "$work"; }; command -v nix-store >/dev/null && command -v flock >/dev/null || exit 127; wanted=$(cat); number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; root=$PWD; work=$PWD/.leaving/work; [ -d "$work" ] || printf "%s\n" "$wanted" | grep -q "^$number " || continue; mkdir -p .leaving && exec 9>>.leaving/lock || exit 1; flock -w 600 9 || { echo "another removal is running" >&2; exit 1; }; if [ -d "$work" ]; then cd "$work" || exit 1; finish; cd "$root"; rm -rf "$work"; fi; mkdir "$work" && cd "$work" || exit 1; take; finish; cd "$root"; rm -rf "$work"; find . -mindepth 1 -name ".*" -prune -o -type d -empty -mmin +1440 -exec rmdir {} + 2>/dev/null; done; echo end'
END
)
look=$(
  cat <<'END'
sh -c 'for folder in /nix/store /nix/var/nix/db; do echo "disk $folder $(stat --file-system --format="%a %S %c %d" "$folder")"; done; while read -r _ point _ options _; do echo "mount $point $options"; done </proc/self/mounts'
END
)

ask_home=$(
  cat <<'END'
sh -c 'me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); echo "home $home"'
END
)
find_roots=$(
  cat <<'END'
sh -c 'wanted=$(cat); { nix-store --gc --print-roots && echo complete; } | grep -F -x -e complete -e "$wanted"'
END
)
count_roots=$(
  cat <<'END'
sh -c 'PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "${HOME%/}/.local/state/nix-remote/gcroots"; number=0; for place do number=$((number + 1)); echo "place $number $place"; [ ! -d "$place" ] || echo "place $number $(cd -P "$place" && pwd)"; done; { nix-store --gc --print-roots && echo end; } | grep -e nix-remote -e ^end'
END
)

present=$(
  cat <<'END'
sh -c 'while read -r name; do path="/nix/store/${name##*/}"; test -e "$path" || test -L "$path" || echo "gone $name"; done; echo looked'
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
  "$list" | "$remove" | "$look" | "$present" | "$exports" | "$ask_home" | "$find_roots" | "$count_roots")
    run sh -c "$asked"
    ;;
  'nix-store --verify-path '*) verify ;;
  'nix-store --realise '*' --add-root '*) ;;
  *) refuse ;;
esac

# A durable root of a path, in one of the folders for them. Quotes come with names that have a `?`.
set -- $(printf %s "$asked" | tr -d "'")
[ "$#" = 5 ] && [ "$1 $2 $4" = 'nix-store --realise --add-root' ] || refuse
path=${3#/nix/store/}
link=$5
[ "$path" != "$3" ] || refuse
case $path in '' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
case $link/ in *[!0-9A-Za-z+._?=/-]* | *//* | */./* | */../*) refuse ;; esac
me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "${HOME%/}/.local/state/nix-remote/gcroots";
for place in "$roots" "$@"; do
  # The removal of roots works in folders whose names begin with a dot.
  case $link in
    "$place"/.* | "$place"/*/.*) refuse ;;
    "$place"/*) run nix-store --realise "/nix/store/$path" --add-root "$link" ;;
  esac
done
refuse
END-OF-FILE
chmod 755 /usr/local/bin/nix-remote-dispatcher.new
mv /usr/local/bin/nix-remote-dispatcher.new /usr/local/bin/nix-remote-dispatcher

# An account that owns nothing in its home folder but where durable roots go: see docs/security.md.
getent passwd nix-remote >/dev/null ||
  useradd --system --user-group --shell /bin/sh --password '*' --home-dir /var/lib/nix-remote nix-remote
install -d -o root -g root -m 755 /var/lib/nix-remote /var/lib/nix-remote/.ssh /var/lib/nix-remote/.local /var/lib/nix-remote/.local/state
install -d -o nix-remote -g nix-remote -m 755 /var/lib/nix-remote/.local/state/nix-remote
# And where they go if the Nix daemon cannot read that folder.
install -d -o root -g root -m 755 /nix/var/nix/gcroots /nix/var/nix/gcroots/nix-remote
install -d -o nix-remote -g nix-remote -m 755 /nix/var/nix/gcroots/nix-remote/nix-remote
authorized=/var/lib/nix-remote/.ssh/authorized_keys
touch "$authorized"
chmod 644 "$authorized"
line='restrict,command="/usr/local/bin/nix-remote-dispatcher" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v'
grep -qxF "$line" "$authorized" || echo "$line" >>"$authorized"

# What is left to decide, in nix.conf. The first gives the account less power over the server:
#   extra-trusted-public-keys = NAME-1:…   and copies are signed (nix-remote copy --sign-key)
#   extra-trusted-users = nix-remote
