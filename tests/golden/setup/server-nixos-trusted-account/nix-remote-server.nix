# A Nix server for nix_remote: nix-remote setup server --system nixos …
{ pkgs, ... }:
let
  # Programs of nix_remote. The comment at the top of each explains it.
  dispatcher = pkgs.writeScript "nix-remote-dispatcher" ''
#!/bin/sh
# nix-remote-dispatcher: lets an account run only the commands that nix-remote needs on a Nix server.
#
# It is the forced command of a key in authorized_keys. The client's command is in
# SSH_ORIGINAL_COMMAND. It is passed to a shell only if it is identical to one of the texts below.
#
# Nothing in the account's home folder is ever executed, and the account must not own that folder:
# the client chooses the location and the target of durable roots.
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

# Compares the content of store paths with their hashes. The client quotes names with a `?`.
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
sh -c 'me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); echo "home $home"; date "+clock %s"'
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
sh -c 'for file in /etc/exports /etc/exports.d/*.exports; do [ -r "$file" ] && sed "s|^|export |" "$file"; done; for file in /proc/net/tcp /proc/net/tcp6; do while read -r _ at _ state _; do [ "$state" = 0A ] && echo "listen ''${at##*:}"; done <"$file"; done; while read -r _ _ _ root at _; do [ "$at" = /nix/store ] && echo "mounted $root"; done </proc/self/mountinfo; echo "threads $(cat /proc/fs/nfsd/threads 2>/dev/null)"; echo "lease $(cat /proc/fs/nfsd/nfsv4leasetime 2>/dev/null)"; echo "timer $(systemctl is-enabled nix-remote-collect.timer 2>/dev/null)"'
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

# Makes a durable root, in one of the folders for roots. The client quotes names with a `?`.
set -- $(printf %s "$asked" | tr -d "'")
[ "$#" = 5 ] && [ "$1 $2 $4" = 'nix-store --realise --add-root' ] || refuse
path=''${3#/nix/store/}
link=$5
[ "$path" != "$3" ] || refuse
case $path in ''' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
case $link/ in *[!0-9A-Za-z+._?=/-]* | *//* | */./* | */../*) refuse ;; esac
me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=''${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "''${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "''${HOME%/}/.local/state/nix-remote/gcroots";
for place in "$roots" "$@"; do
  # The removal of roots has its working folders in names that begin with a dot.
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

account=copies
if [ "$(id -un)" != "$account" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "nix-remote-collect: run it as $account, or as root" >&2
    exit 1
  fi
  exec setpriv --reuid "$account" --regid "$(id -g "$account")" --init-groups "$0" "$@"
fi

# The account's home folder, which contains its roots.
export HOME=/var/lib/copies
# Seconds. Roots used within that time are removed only if the disk is too full.
keep=604800
# Seconds. Roots used within that time are never removed.
grace=3600
# Free space that the store's disk should have, in KiB.
room=1048576
# In case the lines above were edited: the larger value applies.
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
up=''${up%.*}

# `clock` has the time of the last run whose clock was right, its boot ID and its uptime. The clock
# may differ from the uptime by at most an hour; after a boot, by half of the time for which roots
# are kept, because the machine may have been off.
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
'';
in
{
  # An account that owns only the folder for durable roots in its home folder, and whose key can
  # start one program: see docs/security.md.
  environment.etc."nix-remote/dispatcher".source = dispatcher;
  users.groups."copies" = { };
  users.users."copies" = {
    isSystemUser = true;
    group = "copies";
    home = "/var/lib/copies";
    shell = "/bin/sh";
    # The key, restricted to the dispatcher. NixOS keeps this file in /etc, owned by root.
    openssh.authorizedKeys.keys = [ "restrict,command=\"/usr/local/bin/nix-remote-dispatcher\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v" ];
  };
  systemd.tmpfiles.rules = [
    "d /var/lib/copies 0755 root root -"
    "d /var/lib/copies/.local 0755 root root -"
    "d /var/lib/copies/.local/state 0755 root root -"
    "d /var/lib/copies/.local/state/nix-remote 0755 copies copies -"
    # The folder for durable roots if the Nix daemon cannot read the one above.
    "d /nix/var/nix/gcroots/nix-remote/copies 0755 copies copies -"
    # The path of the dispatcher in the key's line.
    "L+ /usr/local/bin/nix-remote-dispatcher - - - - /etc/nix-remote/dispatcher"
  ];
  services.openssh.enable = true;

  # A trusted account may add any content under any name: it is as powerful as root. A signing key
  # makes this unnecessary: nix-remote setup server --trusted-key NAME-1:…
  nix.settings.trusted-users = [ "copies" ];

  # Exports the store to the executors, and nothing else.
  # ro                executors only read; only Nix on this machine writes
  # sync              the default, stated explicitly: replies are sent after data is on the disk
  # all_squash        every user of an executor is nobody on this machine, and every user can read a
  #                   store: a client names the user of a request, and nothing proves that
  # subtree_check     a client that guesses file handles gets no file outside of the store: with
  #                   no_subtree_check, it gets every file of the store's file system
  services.nfs.server.enable = true;
  services.nfs.server.exports = "/nix/store 10.1.0.0/16(ro,sync,all_squash,subtree_check)";
  # Actions that start at the same time send many small requests.
  services.nfs.server.nproc = 32;
  # Seconds for which the server waits for an executor that may be dead; the default is 90.
  services.nfs.settings.nfsd = {
    lease-time = 15;
    grace-time = 15;
  };
  # Executors wait for a server that is down, but actions fail if the store is an empty folder.
  systemd.services.nfs-server.unitConfig = {
    RequiresMountsFor = "/nix/store";
    AssertPathIsDirectory = "/nix/store/.links";
  };
  # The only port that NFS 4 needs. The export limits the clients.
  networking.firewall.allowedTCPPorts = [ 2049 ];

  # Once a day: removes unused durable roots, and collects garbage.
  systemd.services.nix-remote-collect = {
    after = [ "nix-daemon.service" ];
    startAt = "daily";
    serviceConfig = {
      ExecStart = "${collect}";
      # The owner of the roots. Every account may collect garbage, so no other rights are needed.
      User = "copies";
      # Copies and builds have priority.
      Nice = 10;
      IOSchedulingClass = "idle";
      NoNewPrivileges = true;
    };
  };
}
