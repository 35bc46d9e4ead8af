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
