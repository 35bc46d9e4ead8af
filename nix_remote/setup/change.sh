# Changes to this machine that are undone if one of them fails: sourced text, not a program.
# Everything is checked before the first change. A step that fails, or a signal, has what was
# changed before it put back, newest first.

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

# A reason not to begin, and what to do about it.
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

# At the end of the script, however it comes.
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

# What puts the next change back; and what has to be done after all has been put back.
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

# The file behind a name: a link is followed, never replaced.
behind() { readlink -m "$1"; }

# Whether files could be written there: not below a store, nor on a file system that is read-only.
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

# A file with the text on standard input. With a mode, it is root's; with an empty one, mode and
# owner of what it replaces are kept.
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

# Whether a file has a line, whatever ends its lines.
has_line() { [ -e "$1" ] && tr -d '\r' <"$1" | grep -qxF -e "$2"; }

# A file with a line more, at its end, if it lacks it; its last line may lack its end. The mode as
# for put.
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

# A folder with an owner and a mode; an empty mode leaves one that is there alone.
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
  # A last line without an end is none that has to be changed.
  awk '{ print }' "$1" | cmp -s - "$scratch/setting" || put "$1" '' <"$scratch/setting"
}
