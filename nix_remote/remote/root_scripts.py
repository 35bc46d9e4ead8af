"""The shell programs that list and remove durable roots on the server.

Text only; `nix_remote.remote.roots` runs them, and `setup server` builds them into the
dispatcher and into `nix-remote-collect`.

No Nix protocol tells when a root was last used, so its link is looked at. The programs need a
POSIX shell, coreutils, and GNU findutils; the removal also needs `flock` and `nix-store`. Each is
one line without single quotes, exclamation marks and doubled backslashes: every login shell, csh
and fish included, passes it on as it is.

A *root* is a symbolic link to a store path at PLACE/WORKSPACE/PACKAGE/NAME, and none of the three
names begins with a dot. A *record* is

    PLACE-NUMBER USED CHANGED WORKSPACE/PACKAGE/NAME STORE-PATH

with the time of last use (the link's mtime) and of its last change (ctime, which nothing but the
clock sets), in seconds since 1970 and all digits of the file system. Only links whose name and
target consist of the characters of store path names are recorded, so a record is one line and has
no blanks but those that separate its fields. `find` never follows a link to reach one.
"""

from __future__ import annotations

from typing import Final

from nix_remote.remote.gc_roots import SET_PLACES

FORMAT: Final = "nix-remote-roots 2"
"""How the list begins. The version changes with the format of records."""

NOT_FOUND: Final = 127
"""Exit status of a removal that does not find the programs that it needs."""

PAGE: Final = 500
"""Guards that one call of `nix-store` makes."""

_START: Final = (
    "LC_ALL=C; export LC_ALL;"
    ' PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin"; export PATH;'
    f" {SET_PLACES}"
)

# GNU find. A link that vanishes while it is looked at is no error.
_FIND: Final = 'find . -ignore_readdir_race -mindepth 1 -name ".*" -prune -o -type l'
_RECORDED: Final = (
    '-path "./*/*/*" -not -path "./*/*/*/*" -not -path "*[^0-9A-Za-z+._?=/-]*"'
    ' -lname "/nix/store/*" -not -lname "*[^0-9A-Za-z+._?=/-]*"'
)

# Prints the format and the server's time; a record for each root, and "other" for each link that
# is none; and "end", without which the list is not complete.
_LIST: Final = (
    f'echo "{FORMAT} $(date +%s)"; number=0;'
    ' for place; do number=$((number + 1)); [ -d "$place" ] || continue;'
    ' cd -P "$place" || exit 1;'
    f' {_FIND} "(" {_RECORDED} -printf "$number %T@ %C@ %P %l\\n" -o -printf "other\\n" ")"'
    " || exit 1; done; echo end"
)

# The removal. A copy may renew a root, and a collector may read the roots, between any two of its
# steps; and it may be cut off after any of them. So a link is never removed in its place, because
# no system call removes a link only if it is the one that was looked at. Instead:
#
#   1. For each root a *guard* is made: another root of the same path, known to Nix. It has a name
#      that has never been in use: a collector may be about to forget one that was.
#   2. Barrier: each collector that may have missed the guards has ended.
#   3. The link replaces its guard, by one rename. The path has a root all the time.
#   4. Barrier: each collector that missed the link in its place has ended. Nix has forgotten that
#      place, unless a link is there again.
#   5. What was taken is looked at. If it is the link that was listed, and none is in its place, it
#      is removed: that is the removal. If it had been renewed, or one is in its place now, a root
#      is made in its place anew, because Nix may not know that one.
#   6. Those are made once more after a barrier: a copy that made its link before step 3 may have
#      registered it after step 4, and a collector may have been about to forget that. After
#      another barrier their guards are removed.
#
# This relies on the lock that collectors hold while they read roots. Nix also forgets places if it
# only lists roots (`nix-store --gc --print-roots`, operation 14), without that lock, in two
# adjacent system calls: only if such a list stood still between them from before step 3 until after
# step 6 would a root be forgotten.
#
# What a removal that was cut off has left, the next one takes up at step 4. One at a time runs in
# a place, by a lock that the kernel drops with its process.
#
# A *slot* is where a guard is, and then the link that was taken. `plan` has a line
# SLOT USED CHANGED NAME TARGET for each; it exists from step 3 on. A guard's time is 0.
_BARRIER: Final = (
    "barrier() { nix-store --gc --max-freed 0 >said 2>&1 || { cat said >&2; exit 1; }; };"
)

# Goes to the folder of a root, by its name in the place; fails if that leads through a link.
_ENTER: Final = 'enter() { cd -P "$root/${1%/*}" 2>/dev/null && [ "$PWD" = "$root/${1%/*}" ]; };'

# A valid path for slots to begin with. A collector may take it before it has a root.
_OWN: Final = (
    "own() { tries=0; : >nix-remote-slot;"
    ' until own=$(nix-store --add "$work/nix-remote-slot") &&'
    ' nix-store --realise "$own" --add-root "$work/own" >said;'
    " do tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; done; };"
)

# Makes a root anew: its name in the place, and its path. That fails if the path is not valid, and
# would build a derivation; then a root of a valid path is made, and replaced.
_RENEW: Final = (
    "renew() { case $2 in *.drv) false;;"
    ' *) nix-store --realise "$2" --add-root "$root/$1" >said 2>&1;; esac ||'
    ' { own && nix-store --realise "$own" --add-root "$root/$1" >said'
    ' && ln -s "$2" new && mv -fT new "$root/$1"; }; };'
)

# Steps 4 to 6.
_FINISH: Final = (
    "finish() { [ -f plan ] || return 0; barrier;"
    ' find slots.* -type l -printf "%p %T@\\n" | sort >now; : >done; : >again;'
    " join now plan >left || exit 1;"
    " while read -r slot is was changed name target; do"
    ' case $is in 0.*) echo "$slot" >>done; continue;; esac;'
    ' there=no; if enter "$name" && [ -L "./${name##*/}" ]; then there=yes; fi; cd "$work";'
    ' if [ "$there $is" = "no $was" ]; then echo "$slot" >>done; echo "removed $number $name";'
    ' else renew "$name" "$target" || exit 1; echo "$slot $name $target" >>again; echo busy; fi;'
    " done <left; xargs rm -f <done; [ -s again ] || return 0; barrier;"
    ' while read -r slot name target; do renew "$name" "$target" || exit 1; done <again;'
    ' barrier; cut -d " " -f 1 again | xargs rm -f; };'
)

# Steps 1 to 3, for the roots of `wanted` that are still as they were listed.
_TAKE: Final = (
    'take() { cd "$root" || exit 1;'
    f' {_FIND} {_RECORDED} -printf "%T@ %C@ %P %l\\n" >"$work/found" || exit 1;'
    ' cd "$work" || exit 1; sort -o found found;'
    ' printf "%s\\n" "$wanted" | sed -n "s/^$number //p" | sort -u |'
    " comm -12 - found >taken; count=$(wc -l <taken); [ $count -gt 0 ] || return 0; own;"
    f' set --; while [ $# -lt {PAGE} ] && [ $# -lt $count ]; do set -- "$@" "$own"; done;'
    " page=0; made=0; slots=$(mktemp -d slots.XXXXXXXXXX) && mkdir guards || exit 1;"
    " while [ $made -lt $count ]; do"
    " while [ $# -gt $((count - made)) ]; do shift; done;"
    " mkdir $slots/$page guards/$page;"
    ' nix-store --realise "$@" --add-root "$work/$slots/$page/slot" >made || exit 1;'
    ' sed "s|.*/$slots/|$slots/|" made >>names; made=$((made + $#)); page=$((page + 1));'
    " echo busy; done;"
    ' paste -d " " names taken | sort >planned; made=0;'
    " while read -r slot was changed name target; do"
    ' ln -s "$target" "guards/${slot#*/}" || exit 1;'
    " made=$((made + 1)); case $made in *00) echo busy;; esac; done <planned;"
    " find guards -type l -exec touch -h -d @0 {} + || exit 1;"
    " while [ $page -gt 0 ]; do page=$((page - 1));"
    " find guards/$page -type l -exec mv -f -t $slots/$page {} + || exit 1; done;"
    " barrier; mv planned plan; made=0;"
    " while read -r slot was changed name target; do"
    ' if enter "$name" && [ -L "./${name##*/}" ];'
    ' then mv -fT "./${name##*/}" "$work/$slot"; fi;'
    " made=$((made + 1)); case $made in *00) echo busy;; esac;"
    ' done <plan; cd "$work"; };'
)

_REMOVE: Final = (
    f"{_BARRIER} {_ENTER} {_OWN} {_RENEW} {_FINISH} {_TAKE}"
    f" command -v nix-store >/dev/null && command -v flock >/dev/null || exit {NOT_FOUND};"
    " wanted=$(cat); number=0;"
    ' for place; do number=$((number + 1)); [ -d "$place" ] || continue;'
    ' cd -P "$place" || exit 1; root=$PWD; work=$PWD/.leaving/work;'
    ' [ -d "$work" ] || printf "%s\\n" "$wanted" | grep -q "^$number " || continue;'
    " mkdir -p .leaving && exec 9>>.leaving/lock || exit 1;"
    ' flock -w 600 9 || { echo "another removal is running" >&2; exit 1; };'
    ' if [ -d "$work" ]; then cd "$work" || exit 1; finish; cd "$root"; rm -rf "$work"; fi;'
    ' mkdir "$work" && cd "$work" || exit 1; take; finish; cd "$root"; rm -rf "$work";'
    # A copy may be making a root in an empty folder: only those go that have been empty for a day.
    ' find . -mindepth 1 -name ".*" -prune -o -type d -empty -mmin +1440 -exec rmdir {} +'
    " 2>/dev/null; done; echo end"
)

LIST_COMMAND: Final = ("sh", "-c", f"{_START} {_LIST}")
REMOVE_COMMAND: Final = ("sh", "-c", f"{_START} {_REMOVE}")
