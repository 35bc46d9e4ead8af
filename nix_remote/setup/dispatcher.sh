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
@LIST@
END
)
remove=$(
  cat <<'END'
@REMOVE@
END
)
look=$(
  cat <<'END'
@DISKS@
END
)

ask_home=$(
  cat <<'END'
@HOME@
END
)
find_roots=$(
  cat <<'END'
@FIND_ROOTS@
END
)
count_roots=$(
  cat <<'END'
@COUNT_ROOTS@
END
)

present=$(
  cat <<'END'
@PRESENT@
END
)
exports=$(
  cat <<'END'
@EXPORTS@
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
@SET_ROOT_FOLDERS@
for place in "$roots" "$@"; do
  # The removal of roots has its working folders in names that begin with a dot.
  case $link in
    "$place"/.* | "$place"/*/.*) refuse ;;
    "$place"/*) run nix-store --realise "/nix/store/$path" --add-root "$link" ;;
  esac
done
refuse
