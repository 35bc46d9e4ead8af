"""The shell programs that list and remove durable roots on the server.

Text only; `nix_remote.server.gc_roots.listing` runs them, and `setup server` builds them into the
dispatcher and into `nix-remote-collect`.

The Nix protocols do not report when a root was last used; the programs read the times of its link.
They need a POSIX shell, coreutils, and GNU findutils; the removal also needs `flock` and
`nix-store`. Each is one line without single quotes, exclamation marks and doubled backslashes:
every login shell, csh and fish included, passes it on unchanged.

A *root* is a symbolic link to a store path at FOLDER/WORKSPACE/PACKAGE/NAME, where none of the
three names begins with a dot. A *record* is

    FOLDER-NUMBER USED CHANGED WORKSPACE/PACKAGE/NAME STORE-PATH

with the time of last use (the link's mtime) and of its last change (ctime, which only the kernel
sets), in seconds since 1970 with all digits of the file system. Only links whose name and target
consist of the characters of store path names are recorded, so a record is one line, and spaces
only separate its fields. `find` follows no links.
"""

from __future__ import annotations

from typing import Final

from nix_remote.server.gc_roots.names import SET_ROOT_FOLDERS

FORMAT: Final = "nix-remote-roots 2"
"""The beginning of the list. The version changes with the format of records."""

NOT_FOUND: Final = 127
"""Exit status of a removal whose programs are not on the PATH."""

PAGE: Final = 500
"""Guards that one call of `nix-store` makes."""

_START: Final = (
    "LC_ALL=C; export LC_ALL;"
    ' PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH;'
    f" {SET_ROOT_FOLDERS}"
)

# GNU find. A link that is removed meanwhile is not an error.
_FIND: Final = 'find . -ignore_readdir_race -mindepth 1 -name ".*" -prune -o -type l'
_RECORDED: Final = (
    '-path "./*/*/*" -not -path "./*/*/*/*" -not -path "*[^0-9A-Za-z+._?=/-]*"'
    ' -lname "/nix/store/*" -not -lname "*[^0-9A-Za-z+._?=/-]*"'
)

# Prints the format and the server's time; a record for each root, and "other" for each other link;
# and "end", without which the list is incomplete.
_LIST: Final = (
    f'echo "{FORMAT} $(date +%s)"; number=0;'
    ' for place; do number=$((number + 1)); [ -d "$place" ] || continue;'
    ' cd -P "$place" || exit 1;'
    f' {_FIND} "(" {_RECORDED} -printf "$number %T@ %C@ %P %l\\n" -o -printf "other\\n" ")"'
    " || exit 1; done; echo end"
)

# The removal. Between any two of its steps, a copy may renew a root, a collector may read the
# roots, and the removal may be interrupted. No system call removes a link on condition that it is
# unchanged, so the removal never unlinks a root at its location. Instead:
#
#   1. For each root it makes a *guard*: another root of the same path, registered with Nix. Its
#      name was never used before, because a collector may be about to drop the registration of a
#      used name.
#   2. Barrier: each collector that may have missed the guards has ended.
#   3. It renames the link into its working folder. The path has a root all the time.
#   4. Barrier: each collector that missed the link at its location has ended. Nix has dropped the
#      registration of that location, unless a link exists there again.
#   5. It compares the link with the list. If it is unchanged and there is no new link at its
#      location, the root is removed. If it was renewed, or a new link exists, it makes the root at
#      that location again, because Nix may not have it registered.
#   6. It makes those roots once more after a barrier: a copy that made its link before step 3 may
#      have registered it after step 4, while a collector was about to drop the registration.
#      Another barrier follows.
#   7. It removes the guards and the renamed links.
#
# This relies on the lock that collectors hold while they read roots. Nix also drops registrations
# when it only lists roots (`nix-store --gc --print-roots`, operation 14), without that lock, in two
# adjacent system calls: a registration is lost only if such a list pauses between them from before
# step 3 until after step 6.
#
# The next removal resumes an interrupted one at step 4. One removal at a time runs in a folder, by
# a lock that the kernel releases with its process.
#
# No step starts a process for each root: that takes minutes for 30 000. `plan` has a line
# NAME USED TARGET for each root, sorted; it exists from step 3 to step 6. `taken` has the renamed
# links, by their names in the folder.
_BARRIER: Final = (
    "barrier() { nix-store --gc --max-freed 0 >said 2>&1 || { cat said >&2; exit 1; }; };"
)

# Changes to a folder of roots, by its name in the folder for roots; fails if a link is on the way.
_ENTER: Final = 'enter() { cd -P "$root/$1" 2>/dev/null && [ "$PWD" = "$root/$1" ]; };'

# Adds a valid path that guards have at first. A collector may delete it before it has a root.
_OWN: Final = (
    "own() { tries=0; : >nix-remote-slot;"
    ' until own=$(nix-store --add "$work/nix-remote-slot") &&'
    ' nix-store --realise "$own" --add-root "$work/own" >said;'
    " do tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; done; };"
)

# Makes a root again, by its name: of the path that the link at its location has, else of the given
# one. `--realise` fails if the path is not valid, and would build a derivation; in these cases it
# makes a root of a valid path, and replaces the link.
_RENEW: Final = (
    'renew() { target=$(enter "${1%/*}" && readlink "./${1##*/}") || target=$2;'
    " case $target in *.drv) false;;"
    ' *) nix-store --realise "$target" --add-root "$root/$1" >said 2>&1;; esac ||'
    ' { own && nix-store --realise "$own" --add-root "$root/$1" >said'
    ' && ln -s "$target" new && mv -fT new "$root/$1"; }; };'
    " renew_all() { while read -r name used target; do"
    ' renew "$name" "$target" || exit 1; echo busy; done <again; };'
)

# Steps 4 to 7.
_FINISH: Final = (
    "finish() { [ -f plan ] || return 0; barrier;"
    ' find taken -type l -printf "%P %T@ %l\\n" | sort >now;'
    " comm -12 now plan >same && comm -23 now plan >again || exit 1;"
    " while read -r name used target; do"
    ' if enter "${name%/*}" && [ -L "./${name##*/}" ];'
    ' then echo "$name $used $target" >>"$work/again"; else echo "removed $number $name"; fi;'
    ' done <same; cd "$work" || exit 1;'
    " if [ -s again ]; then renew_all; barrier; renew_all; barrier; fi; rm -f plan; };"
)

# Appends strings to `nar` in NAR encoding (length, text, zeros), for `printf %b`. A string has at
# most 511 bytes and does not begin with a digit.
_ENCODE: Final = (
    "encode() { for word; do length=${#word};"
    ' zeros="\\0\\0\\0\\0\\0\\0\\0";'
    " while [ ${#zeros} -gt $(((8 - length % 8) % 8 * 2)) ]; do zeros=${zeros%??}; done;"
    ' nar="$nar\\0$((length / 64 % 4))$((length / 8 % 8))$((length % 8))\\0$((length / 256))'
    '\\0\\0\\0\\0\\0\\0$word$zeros"; done; };'
)

# Step 1 for the roots of `plan.new`, a page at a time. Nix chooses the names of the roots that one
# call makes. No program makes many links with given names and targets, but Nix can unpack a NAR
# of them.
_GUARD: Final = (
    "guard() { own; set --;"
    f' while [ $# -lt {PAGE} ] && [ $# -lt $count ]; do set -- "$@" "$own"; done;'
    " slots=$(mktemp -d slots.XXXXXXXXXX) || exit 1; page=0; made=0;"
    ' nar=; encode nix-archive-1 "(" type directory; begin=$nar; nar=; encode ")"; end=$nar;'
    ' nar=; encode entry "(" name; name=$nar; nar=; encode ")" ")"; ended=$nar;'
    ' nar=; encode node "(" type symlink target; target=$nar;'
    " while [ $made -lt $count ]; do"
    " while [ $# -gt $((count - made)) ]; do shift; done;"
    " mkdir $slots/$page;"
    ' nix-store --realise "$@" --add-root "$work/$slots/$page/slot" >links || exit 1;'
    ' sed "s|.*/||" links | sort -u >slots;'
    ' [ $(wc -l <slots) = $# ] || { echo "nix-store did not make $# roots" >&2; exit 1; };'
    ' sed -n "$((made + 1)),$((made + $#))s| .*||p" plan.new | sed "s|.*/||" |'
    ' paste -d " " slots - |'
    ' { printf %b "$begin"; while read -r slot path; do'
    ' nar=$name; encode "$slot"; nar=$nar$target; encode "/nix/store/$path";'
    ' printf %b "$nar$ended"; done; printf %b "$end"; } |'
    " nix-store --restore guards || exit 1;"
    " find guards -type l -exec mv -f -t $slots/$page {} + || exit 1; rmdir guards;"
    " made=$((made + $#)); page=$((page + 1)); echo busy; done; };"
)

# Step 3 for the links of one folder.
_MOVE: Final = (
    'move() { [ $# -gt 0 ] && enter "$folder" || return 0;'
    ' for each; do shift; if [ -L "./$each" ]; then set -- "$@" "./$each"; fi; done;'
    ' [ $# = 0 ] || mv -f -t "$work/taken/$folder" "$@"; };'
)

# Matches a record of this folder, for `sed`: keeps the name and the fields that are compared.
_NAME: Final = "[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*"
_COMPARED: Final = (
    f"s|^$number \\([^ ]*\\) [^ ]* \\({_NAME}/{_NAME}/{_NAME}\\)"
    " \\(/nix/store/[0-9A-Za-z+._?=/-]*\\)$|\\2 \\1 \\3|p"
)

# Steps 1 to 3, for the roots of `wanted`. Step 5 checks that they are unchanged. Here, that would
# mean to read every root in the folder, which can be many more.
_TAKE: Final = (
    'take() { printf "%s\\n" "$wanted" |'
    f' sed -n "{_COMPARED}" | sort -u -k 1,1 >plan.new;'
    " count=$(wc -l <plan.new); [ $count -gt 0 ] || return 0; guard; barrier;"
    ' cut -d / -f 1,2 plan.new | uniq | sed "s|^|taken/|" | xargs mkdir -p || exit 1;'
    " mv plan.new plan; folder=; moved=0; set --;"
    " while read -r name used target; do"
    ' { [ "${name%/*}" = "$folder" ] && [ $# -lt 100 ]; } || { move "$@"; set --; };'
    ' folder=${name%/*}; set -- "$@" "${name##*/}";'
    " moved=$((moved + 1)); case $moved in *00) echo busy;; esac;"
    ' done <plan; move "$@"; cd "$work"; };'
)

_REMOVE: Final = (
    f"{_BARRIER} {_ENTER} {_OWN} {_RENEW} {_FINISH} {_ENCODE} {_GUARD} {_MOVE} {_TAKE}"
    f" command -v nix-store >/dev/null && command -v flock >/dev/null || exit {NOT_FOUND};"
    " wanted=$(cat); number=0;"
    ' for place; do number=$((number + 1)); [ -d "$place" ] || continue;'
    ' cd -P "$place" || exit 1; root=$PWD; work=$PWD/.leaving/work;'
    ' [ -d "$work" ] || printf "%s\\n" "$wanted" | grep -q "^$number " || continue;'
    " mkdir -p .leaving && exec 9>>.leaving/lock || exit 1;"
    ' flock -w 600 9 || { echo "another removal is running" >&2; exit 1; };'
    ' if [ -d "$work" ]; then cd "$work" || exit 1; finish; cd "$root"; rm -rf "$work"; fi;'
    ' mkdir "$work" && cd "$work" || exit 1; take; finish; cd "$root"; rm -rf "$work";'
    # A copy may be making a root in an empty folder: remove only those that were empty for a day.
    ' find . -mindepth 1 -name ".*" -prune -o -type d -empty -mmin +1440 -exec rmdir {} +'
    " 2>/dev/null; done; echo end"
)

LIST_COMMAND: Final = ("sh", "-c", f"{_START} {_LIST}")
REMOVE_COMMAND: Final = ("sh", "-c", f"{_START} {_REMOVE}")
