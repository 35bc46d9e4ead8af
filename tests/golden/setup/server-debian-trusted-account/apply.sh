# For root on the Nix server: nix-remote setup server … | ssh root@SERVER sh
# It checks everything before it changes anything. If a step fails, it undoes its changes. It can be
# run again at any time: it changes only what differs, and restarts nothing without a change.
set -eu

main() {
# Functions that change this machine, and undo the changes if one of them fails. This text is part
# of a script. Everything is checked before the first change. If a step fails or a signal arrives,
# earlier changes are undone in reverse order.

umask 022
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PATH=$PATH:/nix/var/nix/profiles/default/bin
export LC_ALL PATH
scratch=$(mktemp -d)
mkdir "$scratch/saved"
undoing=
settling=
step='the checks'
problems=0
changes=0
saved=0

say() { printf '%s\n' "nix-remote: $*" >&2; }

# Reports a reason not to begin, and its fix.
problem() {
  problems=$((problems + 1))
  say "$1"
  say "  fix: $2"
}

begin() {
  [ "$problems" = 0 ] && return
  say 'nothing was changed'
  step=
  exit 1
}

# Runs at every exit of the script.
finish() {
  status=$?
  trap '' HUP INT TERM
  if [ "$status" != 0 ] && [ -n "$step" ]; then
    say "this step failed: $step"
    if [ -n "$undoing$settling" ]; then
      say 'what was changed before it is put back'
      failed=0
      while IFS= read -r command; do
        if ! sh -c "$command" </dev/null >&2; then
          failed=1
          say "this could not be undone: $command"
        fi
      done <<END
$undoing${settling}:
END
      [ "$failed" = 1 ] || say 'the machine is as it was before'
    else
      say 'nothing was changed'
    fi
  fi
  if [ "$status" = 0 ] && [ "$changes" = 0 ]; then say 'everything was as it should be: nothing was changed'; fi
  rm -rf "$scratch"
  exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# `undo`: the command that undoes the next change. `settle`: a command that runs after all undos.
undo() {
  undoing="$1
$undoing"
}
settle() {
  settling="$settling$1
"
}
changed() {
  changes=$((changes + 1))
  say "changed: $1"
}

# The real file of a name: a link is followed, never replaced.
behind() { readlink -m "$1"; }

# Checks that a file can be written: not below a store, and not on a read-only file system.
check_writable() {
  if [ -L "$1" ] && [ ! -e "$1" ]; then problem "$1 is a link to nothing" "remove it"; return; fi
  place=$(behind "$1")
  case $place in
    /nix/store/*)
      problem "$1 is a link to $place, which something else generates" \
        "have that generate it as in: nix-remote setup server --out DIR (on NixOS: --system nixos)"
      return
      ;;
  esac
  if [ -d "$place" ]; then problem "$1 is a folder" "move it away"; return; fi
  while [ ! -e "$place" ]; do place=${place%/*}; place=${place:-/}; done
  [ -w "$place" ] || problem "$place cannot be written" "make its file system writable"
}

# Writes a file with the text on standard input. With a mode, root becomes its owner; with an empty
# mode, it keeps the owner and mode of the file that it replaces.
put() {
  file=$(behind "$1")
  mode=$2
  cat >"$scratch/new"
  if [ -e "$file" ]; then
    rights=$(stat -c '%u:%g %a' "$file")
    if cmp -s "$scratch/new" "$file" && [ "$rights" = "${mode:+0:0 }${mode:-$rights}" ]; then
      return 0
    fi
    saved=$((saved + 1))
    cp -a "$file" "$scratch/saved/$saved"
    undo "cp -a '$scratch/saved/$saved' '$file.nix-remote' && mv '$file.nix-remote' '$file'"
    cp -a "$file" "$file.nix-remote"
  else
    folder "${file%/*}" root:root ''
    undo "rm -f '$file'"
    : >"$file.nix-remote"
  fi
  undo "rm -f '$file.nix-remote'"
  cat "$scratch/new" >"$file.nix-remote"
  if [ -n "$mode" ]; then
    chown root:root "$file.nix-remote"
    chmod "$mode" "$file.nix-remote"
  fi
  mv "$file.nix-remote" "$file"
  changed "$1"
}

# Whether a file has a line, with any kind of line end.
has_line() { [ -e "$1" ] && tr -d '\r' <"$1" | grep -qxF -e "$2"; }

# Appends a line to a file that lacks it, even if the file does not end with a newline. Mode as for
# put.
add_line() {
  : >"$scratch/lines"
  if has_line "$1" "$2"; then
    cat "$1" >"$scratch/lines"
  else
    [ ! -e "$1" ] || awk '{ print }' "$1" >"$scratch/lines"
    printf '%s\n' "$2" >>"$scratch/lines"
  fi
  put "$1" "$3" <"$scratch/lines"
}

# Makes a folder with an owner and a mode; with an empty mode, an existing folder is not changed.
folder() {
  if [ ! -d "$1" ]; then
    [ -d "${1%/*}/" ] || folder "${1%/*}" root:root ''
    undo "[ ! -d '$1' ] || rmdir '$1'"
    mkdir "$1"
    changed "$1"
  elif [ -z "$3" ] || [ "$(stat -c '%U:%G %a' "$1")" = "$2 $3" ]; then
    return 0
  else
    undo "chown '$(stat -c %u:%g "$1")' '$1' && chmod '$(stat -c %a "$1")' '$1'"
    changed "$1"
  fi
  chown "$2" "$1"
  chmod "${3:-755}" "$1"
}

# Adds a word to the last line of nix.conf that sets a list, if there is one and it lacks the word.
add_to_setting() {
  [ -e "$1" ] || return 0
  awk -v name="$2" -v word="$3" '
    { lines[NR] = $0 }
    $0 ~ "^[ \t]*" name "[ \t]*=" { at = NR }
    END {
      if (at) {
        value = lines[at]
        rest = match(value, /[ \t]*(#.*)?\r?$/) ? substr(value, RSTART) : ""
        value = substr(value, 1, length(value) - length(rest))
        there = 0
        count = split(substr(value, index(value, "=") + 1), words)
        for (i = 1; i <= count; i++) if (words[i] == word || words[i] == "*") there = 1
        if (!there) lines[at] = value " " word rest
      }
      for (i = 1; i <= NR; i++) print lines[i]
    }' "$1" >"$scratch/setting"
  # A missing newline at the end of the file is not a difference.
  awk '{ print }' "$1" | cmp -s - "$scratch/setting" || put "$1" '' <"$scratch/setting"
}

if [ "$(id -u)" != 0 ]; then
  problem "this is not root" "for root: | ssh root@SERVER sh"
  begin
fi
exec 9>/run/nix-remote-setup.lock
flock -n 9 || problem "this script runs already" "wait until it has ended"
if [ -e /etc/NIXOS ]; then
  problem "this is NixOS, whose files are generated" "nix-remote setup server --system nixos"
fi
command -v nix-store >/dev/null ||
  problem "there is no Nix here" "apt-get install nix-setup-systemd"
conf=/etc/nix/nix.conf
# The installer of Determinate Nix overwrites nix.conf, but not the file that it includes.
if has_line "$conf" '!include nix.custom.conf'; then conf=/etc/nix/nix.custom.conf; fi
has_line "$conf" '!include nix-remote.conf' || check_writable "$conf"

account=copies
home=/var/lib/copies
# An existing account is used if it is like one that this script makes.
if entry=$(getent passwd "$account"); then
  IFS=: read -r _ _ uid _ _ its_home shell <<END
$entry
END
  another="another name: nix-remote setup server --account NAME"
  [ "$uid" != 0 ] || problem "the account $account is root" "$another"
  [ "$its_home" = "$home" ] ||
    problem "there is an account $account with the home folder $its_home, not $home" "$another"
  case $shell in
    /bin/sh | /usr/bin/sh) ;;
    *) problem "there is an account $account with the login shell $shell, not /bin/sh" "$another" ;;
  esac
  password=$(getent shadow "$account" | cut -d: -f2)
  case $password in
    '!'* | '*'*) ;;
    *)
      without="usermod --password '*' $account"
      problem "the account $account has a password" "$another, or: $without"
      ;;
  esac
fi
if [ -e "$home" ] || [ -L "$home" ]; then
  others=$(ls -A "$home" | grep -vxE '[.]ssh|[.]local' || true)
  if [ -L "$home" ] || [ -n "$others" ] || [ "$(stat -c %u "$home")" != 0 ]; then
    problem "$home is there already, and something else uses it" \
      "another name: nix-remote setup server --account NAME"
  fi
fi
check_writable "$home/.ssh/authorized_keys"

# The groups that may use the daemon's socket. On Debian and Arch Linux, that is nix-users.
groups=
if getent group nix-users >/dev/null; then groups=nix-users; fi
check_socket() {
  [ -e "$1" ] || return 0
  mode=0$(stat -c %a "$1")
  if [ "$((mode & $2))" != 0 ]; then return 0; fi
  group=$(stat -c %G "$1")
  if [ "$((mode & ($2 << 3)))" = 0 ] || [ "$group" = root ]; then
    problem "only root may use the daemon's socket: $1" "let a group use it, such as nix-users"
  elif [ "$group" != nix-users ]; then
    groups="$groups $group"
  fi
}
check_socket /nix/var/nix/daemon-socket 1
check_socket /nix/var/nix/daemon-socket/socket 2

if [ -e /nix/store/.links ] && [ ! -d /nix/store/.links ]; then
  problem "/nix/store/.links is no folder: /nix/store is no Nix store" "see what is there"
fi
# What the kernel can export. It identifies a file system by its UUID, or by fsid.
fsid=''
kind_of() { findmnt -n -o FSTYPE -T "$1" | tail -n 1; }
exportable() {
  [ "$(kind_of "$1")" != overlay ] || findmnt -n -o OPTIONS -T "$1" | grep -q 'nfs_export=on'
}
if [ -e /nix/store ] && ! exportable /nix/store; then
  problem "/nix/store is on an overlay, which cannot be exported"     "mount it with index=on,nfs_export=on and use --fsid 1, or mount another file system there"
elif [ -e /nix/store ]; then
  # NFS 4 leads clients from / to the store: it exports the folders above, without their content.
  for above in / /nix; do
    exportable "$above" ||
      problem "$above is on an overlay: NFS 4 cannot reach /nix/store through it"         "mount the overlay with index=on,nfs_export=on"
  done
  kind=$(kind_of /nix/store)
  case $kind in
    overlay | tmpfs | zfs)
      [ -n "$fsid" ] || problem "/nix/store is on $kind, which can only be exported with an fsid"         "add --fsid 1 to nix-remote setup server"
      ;;
  esac
fi

check_writable /usr/local/bin/nix-remote-dispatcher
check_writable /etc/nix/nix-remote.conf
check_writable /etc/exports.d/nix-remote.exports
check_writable /etc/nfs.conf.d/nix-remote.conf
check_writable /usr/local/bin/nix-remote-collect
check_writable /etc/systemd/system/nix-remote-collect.service
check_writable /etc/systemd/system/nix-remote-collect.timer
check_writable /etc/systemd/system/nfs-server.service.d/nix-remote.conf

begin

# These steps are not undone if a later step fails: they install the NFS server's package, and let
# Nix initialise the store. Executors recognise a store by its folder /nix/store/.links.
step='installing the NFS server'
command -v exportfs >/dev/null || {
  apt-get -q update </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-kernel-server </dev/null
  changed 'the package nfs-kernel-server'
}
step='opening the store'
[ -d /nix/store/.links ] || {
  nix-store --init
  changed 'the store, opened for the first time'
}

# An account that owns only the folders for durable roots in its home folder: see docs/security.md.
step="the account $account"
if ! getent passwd "$account" >/dev/null; then
  if getent group "$account" >/dev/null; then
    undo "! getent passwd '$account' || userdel '$account'"
    own_group="--gid=$account"
  else
    undo "! getent group '$account' || groupdel '$account'"
    undo "! getent passwd '$account' || userdel '$account'"
    own_group=--user-group
  fi
  useradd --system "$own_group" --shell /bin/sh --password '*' --home-dir "$home" "$account"
  changed "the account $account"
fi
step="the groups of $account, for the socket of Nix's daemon"
for group in $groups; do
  if ! id -nG "$account" | tr ' ' '\n' | grep -qxF -e "$group"; then
    undo "! id -nG '$account' | grep -qw '$group' || gpasswd -d '$account' '$group'"
    usermod -aG "$group" "$account"
    changed "$account is in the group $group"
  fi
done
step="the folders of $account"
for each in "$home" "$home/.ssh" "$home/.local" "$home/.local/state"; do
  folder "$each" root:root 755
done
for each in "$home/.local/state/nix-remote" /nix/var/nix/gcroots/nix-remote/copies; do
  folder "$each" "$account:$(id -gn "$account")" 755
done
step="the key of $account"
add_line "$home/.ssh/authorized_keys" 'restrict,command="/usr/local/bin/nix-remote-dispatcher" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v' 644

step=/usr/local/bin/nix-remote-dispatcher
put /usr/local/bin/nix-remote-dispatcher 755 <<'END-OF-FILE'
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
asked=${SSH_ORIGINAL_COMMAND-}

run() {
  exec env -i HOME="$HOME" USER="${USER-}" PATH="$PATH" "$@"
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
sh -c 'LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "${HOME%/}/.local/state/nix-remote/gcroots"; barrier() { nix-store --gc --max-freed 0 >said 2>&1 || { cat said >&2; exit 1; }; }; enter() { cd -P "$root/$1" 2>/dev/null && [ "$PWD" = "$root/$1" ]; }; own() { tries=0; : >nix-remote-slot; until own=$(nix-store --add "$work/nix-remote-slot") && nix-store --realise "$own" --add-root "$work/own" >said; do tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; done; }; renew() { target=$(enter "${1%/*}" && readlink "./${1##*/}") || target=$2; case $target in *.drv) false;; *) nix-store --realise "$target" --add-root "$root/$1" >said 2>&1;; esac || { own && nix-store --realise "$own" --add-root "$root/$1" >said && ln -s "$target" new && mv -fT new "$root/$1"; }; }; renew_all() { while read -r name used target; do renew "$name" "$target" || exit 1; echo busy; done <again; }; finish() { [ -f plan ] || return 0; barrier; find taken -type l -printf "%P %T@ %l\n" | sort >now; comm -12 now plan >same && comm -23 now plan >again || exit 1; while read -r name used target; do if enter "${name%/*}" && [ -L "./${name##*/}" ]; then echo "$name $used $target" >>"$work/again"; else echo "removed $number $name"; fi; done <same; cd "$work" || exit 1; if [ -s again ]; then renew_all; barrier; renew_all; barrier; fi; rm -f plan; }; encode() { for word; do length=${#word}; zeros="\0\0\0\0\0\0\0"; while [ ${#zeros} -gt $(((8 - length % 8) % 8 * 2)) ]; do zeros=${zeros%??}; done; nar="$nar\0$((length / 64 % 4))$((length / 8 % 8))$((length % 8))\0$((length / 256))\0\0\0\0\0\0$word$zeros"; done; }; guard() { own; set --; while [ $# -lt 500 ] && [ $# -lt $count ]; do set -- "$@" "$own"; done; slots=$(mktemp -d slots.XXXXXXXXXX) || exit 1; page=0; made=0; nar=; encode nix-archive-1 "(" type directory; begin=$nar; nar=; encode ")"; end=$nar; nar=; encode entry "(" name; name=$nar; nar=; encode ")" ")"; ended=$nar; nar=; encode node "(" type symlink target; target=$nar; while [ $made -lt $count ]; do while [ $# -gt $((count - made)) ]; do shift; done; mkdir $slots/$page; nix-store --realise "$@" --add-root "$work/$slots/$page/slot" >links || exit 1; sed "s|.*/||" links | sort -u >slots; [ $(wc -l <slots) = $# ] || { echo "nix-store did not make $# roots" >&2; exit 1; }; sed -n "$((made + 1)),$((made + $#))s| .*||p" plan.new | sed "s|.*/||" | paste -d " " slots - | { printf %b "$begin"; while read -r slot path; do nar=$name; encode "$slot"; nar=$nar$target; encode "/nix/store/$path"; printf %b "$nar$ended"; done; printf %b "$end"; } | nix-store --restore guards || exit 1; find guards -type l -exec mv -f -t $slots/$page {} + || exit 1; rmdir guards; made=$((made + $#)); page=$((page + 1)); echo busy; done; }; move() { [ $# -gt 0 ] && enter "$folder" || return 0; for each; do shift; if [ -L "./$each" ]; then set -- "$@" "./$each"; fi; done; [ $# = 0 ] || mv -f -t "$work/taken/$folder" "$@"; }; take() { printf "%s\n" "$wanted" | sed -n "s|^$number \([^ ]*\) [^ ]* \([0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*/[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*/[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*\) \(/nix/store/[0-9A-Za-z+._?=/-]*\)$|\2 \1 \3|p" | sort -u -k 1,1 >plan.new; count=$(wc -l <plan.new); [ $count -gt 0 ] || return 0; guard; barrier; cut -d / -f 1,2 plan.new | uniq | sed "s|^|taken/|" | xargs mkdir -p || exit 1; mv plan.new plan; folder=; moved=0; set --; while read -r name used target; do { [ "${name%/*}" = "$folder" ] && [ $# -lt 100 ]; } || { move "$@"; set --; }; folder=${name%/*}; set -- "$@" "${name##*/}"; moved=$((moved + 1)); case $moved in *00) echo busy;; esac; done <plan; move "$@"; cd "$work"; }; command -v nix-store >/dev/null && command -v flock >/dev/null || exit 127; wanted=$(cat); number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; root=$PWD; work=$PWD/.leaving/work; [ -d "$work" ] || printf "%s\n" "$wanted" | grep -q "^$number " || continue; mkdir -p .leaving && exec 9>>.leaving/lock || exit 1; flock -w 600 9 || { echo "another removal is running" >&2; exit 1; }; if [ -d "$work" ]; then cd "$work" || exit 1; finish; cd "$root"; rm -rf "$work"; fi; mkdir "$work" && cd "$work" || exit 1; take; finish; cd "$root"; rm -rf "$work"; find . -mindepth 1 -name ".*" -prune -o -type d -empty -mmin +1440 -exec rmdir {} + 2>/dev/null; done; echo end'
END
)
look=$(
  cat <<'END'
sh -c 'for folder in /nix/store /nix/var/nix/db; do echo "disk $folder $(stat --file-system --format="%a %S %c %d" "$folder")"; done; while read -r _ point _ options _; do echo "mount $point $options"; done </proc/self/mounts'
END
)

ask_home=$(
  cat <<'END'
sh -c 'me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); echo "home $home"; date "+clock %s"'
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
sh -c 'for file in /etc/exports /etc/exports.d/*.exports; do [ -r "$file" ] && sed "s|^|export |" "$file"; done; for file in /proc/net/tcp /proc/net/tcp6; do while read -r _ at _ state _; do [ "$state" = 0A ] && echo "listen ${at##*:}"; done <"$file"; done; while read -r _ _ _ root at _; do [ "$at" = /nix/store ] && echo "mounted $root"; done </proc/self/mountinfo; echo "threads $(cat /proc/fs/nfsd/threads 2>/dev/null)"; echo "lease $(cat /proc/fs/nfsd/nfsv4leasetime 2>/dev/null)"; echo "timer $(systemctl is-enabled nix-remote-collect.timer 2>/dev/null)"'
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
path=${3#/nix/store/}
link=$5
[ "$path" != "$3" ] || refuse
case $path in '' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
case $link/ in *[!0-9A-Za-z+._?=/-]* | *//* | */./* | */../*) refuse ;; esac
me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "${HOME%/}/.local/state/nix-remote/gcroots";
for place in "$roots" "$@"; do
  # The removal of roots has its working folders in names that begin with a dot.
  case $link in
    "$place"/.* | "$place"/*/.*) refuse ;;
    "$place"/*) run nix-store --realise "/nix/store/$path" --add-root "$link" ;;
  esac
done
refuse
END-OF-FILE

before=$changes

# Nix reads the files that nix.conf includes.
step=/etc/nix/nix-remote.conf
put /etc/nix/nix-remote.conf 644 <<'END-OF-FILE'
# Included by nix.conf. A trusted account may add any content under any name: it is as powerful as
# root. A signing key makes this unnecessary: nix-remote setup server --trusted-key NAME-1:…
extra-trusted-users = copies
END-OF-FILE

step=$conf
add_line "$conf" '!include nix-remote.conf' ''

# Lix 2.95 ignores extra-trusted-users beside a line trusted-users.
step=$conf
add_to_setting "$conf" trusted-users "$account"

# If nix.conf limits the users of the daemon, it must allow the account.
step=$conf
add_to_setting "$conf" allowed-users "$account"
nix_changes=$((changes - before))

# The kernel's NFS server, and the export.
before=$changes
step=/etc/exports.d/nix-remote.exports
put /etc/exports.d/nix-remote.exports 644 <<'END-OF-FILE'
# Exports the store to the executors, and nothing else. See exports(5) for the options.
# ro                executors only read; only Nix on this machine writes
# sync              the default, stated explicitly: replies are sent after data is on the disk
# all_squash        every user of an executor is nobody on this machine, and every user can read a
#                   store: a client names the user of a request, and nothing proves that
# subtree_check     a client that guesses file handles gets no file outside of the store: with
#                   no_subtree_check, it gets every file of the store's file system
/nix/store 10.1.0.0/16(ro,sync,all_squash,subtree_check)
END-OF-FILE

step=/etc/nfs.conf.d/nix-remote.conf
put /etc/nfs.conf.d/nix-remote.conf 644 <<'END-OF-FILE'
# Threads that serve executors. Actions that start at the same time send many small requests: with
# the default of 8 or 16 threads, some wait although the disk is idle.
[nfsd]
threads=32
# Seconds; the default is 90. After a restart of the server, executors wait until all of them have
# come back, or for this time. A deletion waits for an executor that is dead and holds delegations
# until its lease ends. The server reads both values when it starts.
lease-time=15
grace-time=15
END-OF-FILE

served=$((changes - before))

# Removes unused roots once a day; starts the NFS server after the store's file system.
before=$changes
step=/usr/local/bin/nix-remote-collect
put /usr/local/bin/nix-remote-collect 755 <<'END-OF-FILE'
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
LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "${HOME%/}/.local/state/nix-remote/gcroots"; echo "nix-remote-roots 2 $(date +%s)"; number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; find . -ignore_readdir_race -mindepth 1 -name ".*" -prune -o -type l "(" -path "./*/*/*" -not -path "./*/*/*/*" -not -path "*[^0-9A-Za-z+._?=/-]*" -lname "/nix/store/*" -not -lname "*[^0-9A-Za-z+._?=/-]*" -printf "$number %T@ %C@ %P %l\n" -o -printf "other\n" ")" || exit 1; done; echo end
}
remove() {
LC_ALL=C; export LC_ALL; PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH; me=$(id -un); home=$(getent passwd "$me" 2>/dev/null | cut -d: -f6); home=${home:-$HOME}; cd "$home" 2>/dev/null && home=$(pwd -P); set -- "${home%/}/.local/state/nix-remote/gcroots" "/nix/var/nix/gcroots/nix-remote/$me" "/nix/var/nix/gcroots/per-user/$me/nix-remote"; [ "$HOME" = "$home" ] || [ "$HOME" -ef "$home" ] || set -- "$@" "${HOME%/}/.local/state/nix-remote/gcroots"; barrier() { nix-store --gc --max-freed 0 >said 2>&1 || { cat said >&2; exit 1; }; }; enter() { cd -P "$root/$1" 2>/dev/null && [ "$PWD" = "$root/$1" ]; }; own() { tries=0; : >nix-remote-slot; until own=$(nix-store --add "$work/nix-remote-slot") && nix-store --realise "$own" --add-root "$work/own" >said; do tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; done; }; renew() { target=$(enter "${1%/*}" && readlink "./${1##*/}") || target=$2; case $target in *.drv) false;; *) nix-store --realise "$target" --add-root "$root/$1" >said 2>&1;; esac || { own && nix-store --realise "$own" --add-root "$root/$1" >said && ln -s "$target" new && mv -fT new "$root/$1"; }; }; renew_all() { while read -r name used target; do renew "$name" "$target" || exit 1; echo busy; done <again; }; finish() { [ -f plan ] || return 0; barrier; find taken -type l -printf "%P %T@ %l\n" | sort >now; comm -12 now plan >same && comm -23 now plan >again || exit 1; while read -r name used target; do if enter "${name%/*}" && [ -L "./${name##*/}" ]; then echo "$name $used $target" >>"$work/again"; else echo "removed $number $name"; fi; done <same; cd "$work" || exit 1; if [ -s again ]; then renew_all; barrier; renew_all; barrier; fi; rm -f plan; }; encode() { for word; do length=${#word}; zeros="\0\0\0\0\0\0\0"; while [ ${#zeros} -gt $(((8 - length % 8) % 8 * 2)) ]; do zeros=${zeros%??}; done; nar="$nar\0$((length / 64 % 4))$((length / 8 % 8))$((length % 8))\0$((length / 256))\0\0\0\0\0\0$word$zeros"; done; }; guard() { own; set --; while [ $# -lt 500 ] && [ $# -lt $count ]; do set -- "$@" "$own"; done; slots=$(mktemp -d slots.XXXXXXXXXX) || exit 1; page=0; made=0; nar=; encode nix-archive-1 "(" type directory; begin=$nar; nar=; encode ")"; end=$nar; nar=; encode entry "(" name; name=$nar; nar=; encode ")" ")"; ended=$nar; nar=; encode node "(" type symlink target; target=$nar; while [ $made -lt $count ]; do while [ $# -gt $((count - made)) ]; do shift; done; mkdir $slots/$page; nix-store --realise "$@" --add-root "$work/$slots/$page/slot" >links || exit 1; sed "s|.*/||" links | sort -u >slots; [ $(wc -l <slots) = $# ] || { echo "nix-store did not make $# roots" >&2; exit 1; }; sed -n "$((made + 1)),$((made + $#))s| .*||p" plan.new | sed "s|.*/||" | paste -d " " slots - | { printf %b "$begin"; while read -r slot path; do nar=$name; encode "$slot"; nar=$nar$target; encode "/nix/store/$path"; printf %b "$nar$ended"; done; printf %b "$end"; } | nix-store --restore guards || exit 1; find guards -type l -exec mv -f -t $slots/$page {} + || exit 1; rmdir guards; made=$((made + $#)); page=$((page + 1)); echo busy; done; }; move() { [ $# -gt 0 ] && enter "$folder" || return 0; for each; do shift; if [ -L "./$each" ]; then set -- "$@" "./$each"; fi; done; [ $# = 0 ] || mv -f -t "$work/taken/$folder" "$@"; }; take() { printf "%s\n" "$wanted" | sed -n "s|^$number \([^ ]*\) [^ ]* \([0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*/[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*/[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*\) \(/nix/store/[0-9A-Za-z+._?=/-]*\)$|\2 \1 \3|p" | sort -u -k 1,1 >plan.new; count=$(wc -l <plan.new); [ $count -gt 0 ] || return 0; guard; barrier; cut -d / -f 1,2 plan.new | uniq | sed "s|^|taken/|" | xargs mkdir -p || exit 1; mv plan.new plan; folder=; moved=0; set --; while read -r name used target; do { [ "${name%/*}" = "$folder" ] && [ $# -lt 100 ]; } || { move "$@"; set --; }; folder=${name%/*}; set -- "$@" "${name##*/}"; moved=$((moved + 1)); case $moved in *00) echo busy;; esac; done <plan; move "$@"; cd "$work"; }; command -v nix-store >/dev/null && command -v flock >/dev/null || exit 127; wanted=$(cat); number=0; for place; do number=$((number + 1)); [ -d "$place" ] || continue; cd -P "$place" || exit 1; root=$PWD; work=$PWD/.leaving/work; [ -d "$work" ] || printf "%s\n" "$wanted" | grep -q "^$number " || continue; mkdir -p .leaving && exec 9>>.leaving/lock || exit 1; flock -w 600 9 || { echo "another removal is running" >&2; exit 1; }; if [ -d "$work" ]; then cd "$work" || exit 1; finish; cd "$root"; rm -rf "$work"; fi; mkdir "$work" && cd "$work" || exit 1; take; finish; cd "$root"; rm -rf "$work"; find . -mindepth 1 -name ".*" -prune -o -type d -empty -mmin +1440 -exec rmdir {} + 2>/dev/null; done; echo end
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
END-OF-FILE

step=/etc/systemd/system/nix-remote-collect.service
put /etc/systemd/system/nix-remote-collect.service 644 <<'END-OF-FILE'
# The timer of the same name starts it. For a description see the top of /usr/local/bin/nix-remote-collect.
[Unit]
Description=Remove durable roots of nix-remote that nobody uses, and collect garbage
After=nix-daemon.service

[Service]
Type=oneshot
ExecStart=/usr/local/bin/nix-remote-collect
# The owner of the roots. Every account may collect garbage, so no other rights are needed.
User=copies
# Copies and builds have priority.
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=true
END-OF-FILE

step=/etc/systemd/system/nix-remote-collect.timer
put /etc/systemd/system/nix-remote-collect.timer 644 <<'END-OF-FILE'
# Once a day. To see what it would remove: sudo -u ACCOUNT nix-remote-collect --dry-run
[Unit]
Description=Keep the Nix server from filling up

[Timer]
OnCalendar=daily
# Not in the same minute on every server; after boot, if the machine was off.
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
END-OF-FILE

step=/etc/systemd/system/nfs-server.service.d/nix-remote.conf
put /etc/systemd/system/nfs-server.service.d/nix-remote.conf 644 <<'END-OF-FILE'
# The NFS server starts after the file system of the store is mounted, and not at all if that is no
# store: executors wait for a server that is down, but actions fail if the store is empty.
[Unit]
RequiresMountsFor=/nix/store
AssertPathIsDirectory=/nix/store/.links
END-OF-FILE

units=$((changes - before))

enable() {
  step="enabling $1"
  if systemctl -q is-enabled "$1"; then return 0; fi
  undo "systemctl -q disable '$1'"
  systemctl -q enable "$1"
  changed "$1 is enabled"
}
start() {
  step="starting $1"
  if systemctl -q is-active "$1"; then return 0; fi
  undo "systemctl stop '$1'"
  systemctl start "$1"
  changed "$1 is started"
}
if command -v systemctl >/dev/null; then
  enable nfs-server.service
  enable nix-remote-collect.timer
fi
if [ -d /run/systemd/system ]; then
  # If ufw is active, lets only executors through. NFS 4 needs no other port.
  step='the firewall'
  if command -v ufw >/dev/null && ufw status | grep -q '^Status: active'; then
    for network in 10.1.0.0/16; do
      rule="allow proto tcp from $network to any port 2049"
      case $(ufw $rule) in
        Skipping*) ;;
        *)
          undo "ufw delete $rule"
          changed "ufw $rule"
          ;;
      esac
    done
  fi
  step='nix-remote-collect.timer'
  if [ "$units" -gt 0 ]; then
    settle 'systemctl daemon-reload'
    systemctl daemon-reload
  fi
  start nix-remote-collect.timer
  # A running server is not restarted: every executor would wait for the grace period of NFS. But if
  # it exports nothing yet, no executor waits. It was then started by its package, say.
  if [ ! -s /var/lib/nfs/etab ] && systemctl -q is-active nfs-server.service; then
    step='restarting the NFS server, which exports nothing yet'
    settle 'systemctl restart nfs-server.service'
    systemctl restart nfs-server.service
    changed 'the NFS server has read its settings, and exports the store'
  elif systemctl -q is-active nfs-server.service; then
    step='the threads of the NFS server'
    running=$(cat /proc/fs/nfsd/threads)
    if [ "$running" != 32 ]; then
      undo "rpc.nfsd $running"
      rpc.nfsd 32
      changed 'the NFS server has 32 threads'
    fi
    # "requires fsid=": the file system has no UUID; run setup again with --fsid 1.
    step='exporting the store'
    if [ "$served" -gt 0 ]; then
      settle 'exportfs -ra'
      exportfs -ra
    fi
    lease=$(cat /proc/fs/nfsd/nfsv4leasetime)
    if [ "$lease" != 15 ]; then
      say "the NFS server runs with a lease of $lease s: it uses 15 s when it starts again."
      say '  If executors may wait now: systemctl restart nfs-server.service'
    fi
  else
    start nfs-server.service
  fi
else
  say "there is no systemd here: start the NFS server (port 2049), and run"     "nix-remote-collect once a day, by other means"
fi

# The last step: the daemon reads its settings when it starts. With KillMode=process a restart ends
# no build and no copy, which are separate processes. Otherwise the restart is left to the user.
step='nix-daemon.service'
if [ "$nix_changes" -gt 0 ] && [ -d /run/systemd/system ] &&
  systemctl -q is-active nix-daemon.service; then
  if [ "$(systemctl show --value --property KillMode nix-daemon.service)" = process ]; then
    settle 'systemctl try-restart nix-daemon.service'
    systemctl try-restart nix-daemon.service
    changed 'nix-daemon.service, which has read its settings again'
  else
    say 'Nix has new settings. Its daemon reads them when it starts. When nothing is built:'
    say '  systemctl restart nix-daemon.service'
  fi
fi

# Vulnerabilities of the Nix daemon that let its users become root. The columns: implementation,
# the releases that introduced it, the releases that fix it, its description.
step='a look at the version of Nix'
awk -F '|' -v said="$(nix-store --version </dev/null)" '
  function number(version, part) {
    split(version, part, ".")
    return (part[1] * 1000 + part[2]) * 1000 + part[3]
  }
  function branch(version, part) {
    split(version, part, ".")
    return part[1] "." part[2]
  }
  # Whether this Nix is not older than the release of its branch, or else the newest release.
  function has(releases, each, count, i, least, newest) {
    count = split(releases, each, " ")
    for (i = 1; i <= count; i++) {
      if (branch(each[i]) == branch(version) && split(each[i], part, ".") > 2) least = each[i]
      if (number(each[i]) > number(newest)) newest = each[i]
    }
    return number(version) >= number(least == "" ? newest : least)
  }
  BEGIN {
    kind = said ~ /[(]Lix/ ? "Lix" : said ~ /[(]Determinate/ ? "Determinate" : "Nix"
    version = said
    sub(kind == "Determinate" ? "^.*Nix " : "^.*[)] ", "", version)
    sub("[^0-9.].*", "", version)
  }
  $1 == kind && has($2) && !has($3) {
    print "nix-remote: warning: " kind " " version ", unless it is patched:" \
      " who may use the daemon can " $4
    print "nix-remote:   fix: update Nix; a package may be patched under its old number:" \
      " see its changelog"
  }' >&2 <<'END-OF-FILE' || true
Nix||2.28.8 2.30.6 2.31.6 2.34.9 2.35.3|replace the content of any store path, and so become root: CVE-2026-110450
Lix||2.95.4|replace the content of any store path, and so become root: CVE-2026-110450
Determinate||3.23.2|replace the content of any store path, and so become root: CVE-2026-110450
Nix|2.24.4|2.28.7 2.29.4 2.30.5 2.31.5 2.32.8 2.33.6 2.34.7|run code as the daemon, which is root: CVE-2026-44028 (GHSA-vh5x-56v6-4368)
Lix|2.93|2.93.4 2.94.2 2.95.2|run code as the daemon, which is root: CVE-2026-44028 (GHSA-vh5x-56v6-4368)
Determinate||3.19.1|run code as the daemon, which is root: CVE-2026-44028 (GHSA-vh5x-56v6-4368)
Nix|2.18.2 2.19.4 2.20.5 2.21|2.28.6 2.29.3 2.30.4 2.31.4 2.32.7 2.33.4 2.34.5|write files as root, through a build: CVE-2026-39860 (GHSA-g3g9-5vj6-r3gj)
Determinate||3.17.3|write files as root, through a build: CVE-2026-39860 (GHSA-g3g9-5vj6-r3gj)
Nix||2.24.15 2.26.4 2.28.4 2.29.1|change the store and files of root's, through a build: CVE-2025-52992, CVE-2025-46415 and CVE-2025-46416
Lix||2.91.2 2.92.2 2.93.1|change the store and files of root's, through a build: CVE-2025-52992, CVE-2025-46415 and CVE-2025-46416
END-OF-FILE
}
main
