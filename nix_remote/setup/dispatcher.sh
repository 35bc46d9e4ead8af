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

# A durable root of a path, in one of the folders for them. Quotes come with names that have a `?`.
set -- $(printf %s "$asked" | tr -d "'")
[ "$#" = 5 ] && [ "$1 $2 $4" = 'nix-store --realise --add-root' ] || refuse
path=${3#/nix/store/}
link=$5
[ "$path" != "$3" ] || refuse
case $path in '' | .* | *[!0-9A-Za-z+._?=-]*) refuse ;; esac
case $link/ in *[!0-9A-Za-z+._?=/-]* | *//* | */./* | */../*) refuse ;; esac
@SET_ROOT_FOLDERS@
for place in "$roots" "$@"; do
  # The removal of roots works in folders whose names begin with a dot.
  case $link in
    "$place"/.* | "$place"/*/.*) refuse ;;
    "$place"/*) run nix-store --realise "/nix/store/$path" --add-root "$link" ;;
  esac
done
refuse
