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
sh -c 'LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "''${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "''${HOME%/}/.local/state/nix-remote/gcroots"; echo "nix-remote-roots 2 $(date +%s)"; number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; find . -ignore_readdir_race -mindepth 1 -name ".*" -prune -o -type l "(" -path "./*/*/*" -not -path "./*/*/*/*" -not -path "*[^0-9A-Za-z+._?=/-]*" -lname "/nix/store/*" -not -lname "*[^0-9A-Za-z+._?=/-]*" -printf "$number %T@ %C@ %P %l\n" -o -printf "other\n" ")" || exit 1; done; echo end'
END
)
remove=$(
  cat <<'END'
sh -c 'LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "''${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "''${HOME%/}/.local/state/nix-remote/gcroots"; barrier() { nix-store --gc --max-freed 0 >said 2>&1 || { cat said >&2; exit 1; }; }; enter() { cd -P "$root/$1" 2>/dev/null && [ "$PWD" = "$root/$1" ]; }; own() { tries=0; : >nix-remote-slot; until own=$(nix-store --add "$work/nix-remote-slot") && nix-store --realise "$own" --add-root "$work/own" >said; do tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; done; }; renew() { target=$(enter "''${1%/*}" && readlink "./''${1##*/}") || target=$2; case $target in *.drv) false;; *) nix-store --realise "$target" --add-root "$root/$1" >said 2>&1;; esac || { own && nix-store --realise "$own" --add-root "$root/$1" >said && ln -s "$target" new && mv -fT new "$root/$1"; }; }; renew_all() { while read -r name used target; do renew "$name" "$target" || exit 1; echo busy; done <again; }; finish() { [ -f plan ] || return 0; barrier; find taken -type l -printf "%P %T@ %l\n" | sort >now; comm -12 now plan >same && comm -23 now plan >again || exit 1; while read -r name used target; do if enter "''${name%/*}" && [ -L "./''${name##*/}" ]; then echo "$name $used $target" >>"$work/again"; else echo "removed $number $name"; fi; done <same; cd "$work" || exit 1; if [ -s again ]; then renew_all; barrier; renew_all; barrier; fi; rm -f plan; }; encode() { for word; do length=''${#word}; zeros="\0\0\0\0\0\0\0"; while [ ''${#zeros} -gt $(((8 - length % 8) % 8 * 2)) ]; do zeros=''${zeros%??}; done; nar="$nar\0$((length / 64 % 4))$((length / 8 % 8))$((length % 8))\0$((length / 256))\0\0\0\0\0\0$word$zeros"; done; }; guard() { own; set --; while [ $# -lt 500 ] && [ $# -lt $count ]; do set -- "$@" "$own"; done; slots=$(mktemp -d slots.XXXXXXXXXX) || exit 1; page=0; made=0; nar=; encode nix-archive-1 "(" type directory; begin=$nar; nar=; encode ")"; end=$nar; nar=; encode entry "(" name; name=$nar; nar=; encode ")" ")"; ended=$nar; nar=; encode node "(" type symlink target; target=$nar; while [ $made -lt $count ]; do while [ $# -gt $((count - made)) ]; do shift; done; mkdir $slots/$page; nix-store --realise "$@" --add-root "$work/$slots/$page/slot" >links || exit 1; sed "s|.*/||" links | sort -u >slots; [ $(wc -l <slots) = $# ] || { echo "nix-store did not make $# roots" >&2; exit 1; }; sed -n "$((made + 1)),$((made + $#))s| .*||p" plan.new | sed "s|.*/||" | paste -d " " slots - | { printf %b "$begin"; while read -r slot path; do nar=$name; encode "$slot"; nar=$nar$target; encode "/nix/store/$path"; printf %b "$nar$ended"; done; printf %b "$end"; } | nix-store --restore guards || exit 1; find guards -type l -exec mv -f -t $slots/$page {} + || exit 1; rmdir guards; made=$((made + $#)); page=$((page + 1)); echo busy; done; }; move() { [ $# -gt 0 ] && enter "$folder" || return 0; for each; do shift; if [ -L "./$each" ]; then set -- "$@" "./$each"; fi; done; [ $# = 0 ] || mv -f -t "$work/taken/$folder" "$@"; }; take() { printf "%s\n" "$wanted" | sed -n "s|^$number \([^ ]*\) [^ ]* \([0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*/[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*/[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*\) \(/nix/store/[0-9A-Za-z+._?=/-]*\)$|\2 \1 \3|p" | sort -u -k 1,1 >plan.new; count=$(wc -l <plan.new); [ $count -gt 0 ] || return 0; guard; barrier; cut -d / -f 1,2 plan.new | uniq | sed "s|^|taken/|" | xargs mkdir -p || exit 1; mv plan.new plan; folder=; moved=0; set --; while read -r name used target; do { [ "''${name%/*}" = "$folder" ] && [ $# -lt 100 ]; } || { move "$@"; set --; }; folder=''${name%/*}; set -- "$@" "''${name##*/}"; moved=$((moved + 1)); case $moved in *00) echo busy;; esac; done <plan; move "$@"; cd "$work"; }; command -v nix-store >/dev/null && command -v flock >/dev/null || exit 127; wanted=$(cat); number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; root=$PWD; work=$PWD/.leaving/work; [ -d "$work" ] || printf "%s\n" "$wanted" | grep -q "^$number " || continue; mkdir -p .leaving && exec 9>>.leaving/lock || exit 1; flock -w 600 9 || { echo "another removal is running" >&2; exit 1; }; if [ -d "$work" ]; then cd "$work" || exit 1; finish; cd "$root"; rm -rf "$work"; fi; mkdir "$work" && cd "$work" || exit 1; take; finish; cd "$root"; rm -rf "$work"; find . -mindepth 1 -name ".*" -prune -o -type d -empty -mmin +1440 -exec rmdir {} + 2>/dev/null; done; echo end'
END
)
look=$(
  cat <<'END'
sh -c 'for folder in /nix/store /nix/var/nix/db; do echo "disk $folder $(stat --file-system --format="%a %S %c %d" "$folder")"; done; while read -r _ point _ options _; do echo "mount $point $options"; done </proc/self/mounts'
END
)

ask_home=$(
  cat <<'END'
sh -c 'me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); echo "home $home"'
END
)
find_roots=$(
  cat <<'END'
sh -c 'wanted=$(cat); { nix-store --gc --print-roots && echo complete; } | grep -F -x -e complete -e "$wanted"'
END
)
count_roots=$(
  cat <<'END'
sh -c 'PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "''${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "''${HOME%/}/.local/state/nix-remote/gcroots"; number=0; for place do number=$((number + 1)); echo "place $number $place"; [ ! -d "$place" ] || echo "place $number $(cd -P "$place" && pwd)"; done; { nix-store --gc --print-roots && echo end; } | grep -e nix-remote -e ^end'
END
)

present=$(
  cat <<'END'
sh -c 'while read -r name; do path="/nix/store/''${name##*/}"; test -e "$path" || test -L "$path" || echo "gone $name"; done; echo looked'
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
path=''${3#/nix/store/}
link=$5
[ "$path" != "$3" ] || refuse
case $path in ''' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
case $link/ in *[!0-9A-Za-z+._?=/-]* | *//* | */./* | */../*) refuse ;; esac
me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "''${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "''${HOME%/}/.local/state/nix-remote/gcroots";
for place in "$roots" "$@"; do
  # The removal of roots works in folders whose names begin with a dot.
  case $link in
    "$place"/.* | "$place"/*/.*) refuse ;;
    "$place"/*) run nix-store --realise "/nix/store/$path" --add-root "$link" ;;
  esac
done
refuse
'';
  collect = pkgs.writeScript "nix-remote-collect" ''
#!/bin/sh
# nix-remote-collect: keeps a Nix server from filling up. A timer runs it once a day.
#
#   nix-remote-collect [--dry-run | --trust-clock]
#
# It removes durable roots that no copy has used for long, and then lets Nix collect what
# nothing keeps. While the disk has too little room, it goes on with roots half as old, and
# half of that, but never with those used within the grace time: a build may need them now.
#
# Ages are by the clock, and a clock can be wrong. Nothing is removed if the clock has moved
# against the time that the machine has been up, if no root was used or made for as long as roots
# are kept, and of those roots that appear with a time before the last run: those were made while
# the clock was wrong. If the clock is right: nix-remote-collect --trust-clock.
#
# It runs as the account that owns the roots, needs no other power, and uses no other: root's is
# dropped.
set -eu
LC_ALL=C
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/local/bin:/usr/bin:/bin
export LC_ALL PATH
umask 022

account=copies
if [ "$(id -un)" != "$account" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "nix-remote-collect: run it as $account, or as root" >&2
    exit 1
  fi
  exec setpriv --reuid "$account" --regid "$(id -g "$account")" --init-groups "$0" "$@"
fi

# The account's home folder: its roots are below it.
export HOME=/var/lib/copies
# Seconds since a root was last used, before which it goes only if the disk is too full.
keep=604800
# Seconds within which a root is never removed, whatever the disk says.
grace=3600
# KiB that the store's disk should have free.
room=1048576
# Should the lines above be edited: the larger one holds.
[ "$keep" -ge "$grace" ] || keep=$grace

state=$HOME/.local/state/nix-remote/collect
mkdir -p "$state"
cd "$state"

list() {
LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "''${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "''${HOME%/}/.local/state/nix-remote/gcroots"; echo "nix-remote-roots 2 $(date +%s)"; number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; find . -ignore_readdir_race -mindepth 1 -name ".*" -prune -o -type l "(" -path "./*/*/*" -not -path "./*/*/*/*" -not -path "*[^0-9A-Za-z+._?=/-]*" -lname "/nix/store/*" -not -lname "*[^0-9A-Za-z+._?=/-]*" -printf "$number %T@ %C@ %P %l\n" -o -printf "other\n" ")" || exit 1; done; echo end
}
remove() {
LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "''${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "''${HOME%/}/.local/state/nix-remote/gcroots"; barrier() { nix-store --gc --max-freed 0 >said 2>&1 || { cat said >&2; exit 1; }; }; enter() { cd -P "$root/$1" 2>/dev/null && [ "$PWD" = "$root/$1" ]; }; own() { tries=0; : >nix-remote-slot; until own=$(nix-store --add "$work/nix-remote-slot") && nix-store --realise "$own" --add-root "$work/own" >said; do tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; done; }; renew() { target=$(enter "''${1%/*}" && readlink "./''${1##*/}") || target=$2; case $target in *.drv) false;; *) nix-store --realise "$target" --add-root "$root/$1" >said 2>&1;; esac || { own && nix-store --realise "$own" --add-root "$root/$1" >said && ln -s "$target" new && mv -fT new "$root/$1"; }; }; renew_all() { while read -r name used target; do renew "$name" "$target" || exit 1; echo busy; done <again; }; finish() { [ -f plan ] || return 0; barrier; find taken -type l -printf "%P %T@ %l\n" | sort >now; comm -12 now plan >same && comm -23 now plan >again || exit 1; while read -r name used target; do if enter "''${name%/*}" && [ -L "./''${name##*/}" ]; then echo "$name $used $target" >>"$work/again"; else echo "removed $number $name"; fi; done <same; cd "$work" || exit 1; if [ -s again ]; then renew_all; barrier; renew_all; barrier; fi; rm -f plan; }; encode() { for word; do length=''${#word}; zeros="\0\0\0\0\0\0\0"; while [ ''${#zeros} -gt $(((8 - length % 8) % 8 * 2)) ]; do zeros=''${zeros%??}; done; nar="$nar\0$((length / 64 % 4))$((length / 8 % 8))$((length % 8))\0$((length / 256))\0\0\0\0\0\0$word$zeros"; done; }; guard() { own; set --; while [ $# -lt 500 ] && [ $# -lt $count ]; do set -- "$@" "$own"; done; slots=$(mktemp -d slots.XXXXXXXXXX) || exit 1; page=0; made=0; nar=; encode nix-archive-1 "(" type directory; begin=$nar; nar=; encode ")"; end=$nar; nar=; encode entry "(" name; name=$nar; nar=; encode ")" ")"; ended=$nar; nar=; encode node "(" type symlink target; target=$nar; while [ $made -lt $count ]; do while [ $# -gt $((count - made)) ]; do shift; done; mkdir $slots/$page; nix-store --realise "$@" --add-root "$work/$slots/$page/slot" >links || exit 1; sed "s|.*/||" links | sort -u >slots; [ $(wc -l <slots) = $# ] || { echo "nix-store did not make $# roots" >&2; exit 1; }; sed -n "$((made + 1)),$((made + $#))s| .*||p" plan.new | sed "s|.*/||" | paste -d " " slots - | { printf %b "$begin"; while read -r slot path; do nar=$name; encode "$slot"; nar=$nar$target; encode "/nix/store/$path"; printf %b "$nar$ended"; done; printf %b "$end"; } | nix-store --restore guards || exit 1; find guards -type l -exec mv -f -t $slots/$page {} + || exit 1; rmdir guards; made=$((made + $#)); page=$((page + 1)); echo busy; done; }; move() { [ $# -gt 0 ] && enter "$folder" || return 0; for each; do shift; if [ -L "./$each" ]; then set -- "$@" "./$each"; fi; done; [ $# = 0 ] || mv -f -t "$work/taken/$folder" "$@"; }; take() { printf "%s\n" "$wanted" | sed -n "s|^$number \([^ ]*\) [^ ]* \([0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*/[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*/[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*\) \(/nix/store/[0-9A-Za-z+._?=/-]*\)$|\2 \1 \3|p" | sort -u -k 1,1 >plan.new; count=$(wc -l <plan.new); [ $count -gt 0 ] || return 0; guard; barrier; cut -d / -f 1,2 plan.new | uniq | sed "s|^|taken/|" | xargs mkdir -p || exit 1; mv plan.new plan; folder=; moved=0; set --; while read -r name used target; do { [ "''${name%/*}" = "$folder" ] && [ $# -lt 100 ]; } || { move "$@"; set --; }; folder=''${name%/*}; set -- "$@" "''${name##*/}"; moved=$((moved + 1)); case $moved in *00) echo busy;; esac; done <plan; move "$@"; cd "$work"; }; command -v nix-store >/dev/null && command -v flock >/dev/null || exit 127; wanted=$(cat); number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; root=$PWD; work=$PWD/.leaving/work; [ -d "$work" ] || printf "%s\n" "$wanted" | grep -q "^$number " || continue; mkdir -p .leaving && exec 9>>.leaving/lock || exit 1; flock -w 600 9 || { echo "another removal is running" >&2; exit 1; }; if [ -d "$work" ]; then cd "$work" || exit 1; finish; cd "$root"; rm -rf "$work"; fi; mkdir "$work" && cd "$work" || exit 1; take; finish; cd "$root"; rm -rf "$work"; find . -mindepth 1 -name ".*" -prune -o -type d -empty -mmin +1440 -exec rmdir {} + 2>/dev/null; done; echo end
}
free() {
  df -Pk /nix/store | awk 'NR == 2 { print $4 }'
}
# The roots: records, sorted. The time of the list goes to the file `now`.
roots() {
  # In a process of its own: the list ends the shell that it fails in.
  (list) >listed
  [ "$(tail -n 1 listed)" = end ] || { echo "nix-remote-collect: no complete list" >&2; exit 1; }
  sed -n '1s/.* //p' listed >now
  sed '1d; $d; /^other$/d' listed | sort
}
# Those of the roots on standard input that are older than so many seconds.
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
up=''${up%.*}

# `clock` has the time of the last run whose clock was right, its boot, and how long the machine
# had been up. What the clock and the time since have in common: at most an hour of difference;
# after a boot, half of what roots are kept for, because a machine can be off.
if [ "''${1-}" != --trust-clock ] && [ -s roots.new ]; then
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

# `seen` has the roots of the last run. Those that are new, and were made before it by the clock,
# stay until the next one.
if [ -f seen ] && [ -f clock ]; then
  read -r last _ <clock
  comm -13 seen roots.new | awk -v last="$last" '$3 < last' >doubtful
  comm -23 roots.new doubtful >candidates
else
  cp roots.new candidates
fi
others=$(grep -c '^other$' listed || true)
[ "$others" = 0 ] || echo "links that were not made by copies, and stay: $others"

if [ "''${1-}" = --dry-run ]; then
  echo "free: $(free) KiB, wanted: $room KiB; roots not used for $keep s:"
  older_than "$keep" <candidates | cut -d ' ' -f 4
  exit 0
fi
echo "$now $boot $up" >clock.new
mv clock.new clock
mv roots.new seen

while :; do
  older_than "$keep" <candidates >old
  # A part at a time, which is held in memory; each in a process of its own, as above. What is
  # gone already is passed over. With no part, what a removal that was cut off has left is removed.
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
'';
in
{
  # An account that owns nothing in its home folder but where durable roots go, and whose key
  # can start one program: see docs/security.md.
  environment.etc."nix-remote/dispatcher".source = dispatcher;
  users.groups."copies" = { };
  users.users."copies" = {
    isSystemUser = true;
    group = "copies";
    home = "/var/lib/copies";
    shell = "/bin/sh";
    # The key, tied to the dispatcher. NixOS keeps this file in /etc, owned by root.
    openssh.authorizedKeys.keys = [ "restrict,command=\"/usr/local/bin/nix-remote-dispatcher\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v" ];
  };
  systemd.tmpfiles.rules = [
    "d /var/lib/copies 0755 root root -"
    "d /var/lib/copies/.local 0755 root root -"
    "d /var/lib/copies/.local/state 0755 root root -"
    "d /var/lib/copies/.local/state/nix-remote 0755 copies copies -"
    # And where they go if the Nix daemon cannot read that folder.
    "d /nix/var/nix/gcroots/nix-remote/copies 0755 copies copies -"
    # Where the key's line says the dispatcher is.
    "L+ /usr/local/bin/nix-remote-dispatcher - - - - /etc/nix-remote/dispatcher"
  ];
  services.openssh.enable = true;

  # The account is trusted with any content under any name: it is as good as root. A key to sign
  # copies with is enough instead: nix-remote setup server --trusted-key NAME-1:…
  nix.settings.trusted-users = [ "copies" ];

  # The store, and nothing else of this machine, for the executors.
  # ro                executors read; all that is written goes through Nix on this machine
  # sync              the default, written down: nothing is answered before it is on the disk
  # no_subtree_check  Nix adds paths by renaming, which checks of subtrees stumble over
  # root_squash       root of an executor is nobody here; all of a store can be read by everybody
  services.nfs.server.enable = true;
  services.nfs.server.exports = "/nix/store 10.1.0.0/16(ro,sync,no_subtree_check,root_squash)";
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
      User = "copies";
      # Copies and builds come first.
      Nice = 10;
      IOSchedulingClass = "idle";
      NoNewPrivileges = true;
    };
  };
}
