"""The rule behind `nix_remote_closure_test`.

Two steps: here, Nix says what the closures are; there, a shell looks for each path. The
second uses nothing but the shell, since what it looks for may be missing.
"""

# Where Nix is on machines whose default PATH does not name it. `$home` is the user's home
# folder by the user database: an action need not have HOME.
_NIX = ":".join([
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "$home/.nix-profile/bin",
    "$home/.local/state/nix/profile/bin",
    "/nix/var/nix/profiles/per-user/$user/profile/bin",
    "/etc/profiles/per-user/$user/bin",
    "/usr/local/bin",
])

_LIST = """\
set -eu
user=$(id -un)
home=$(eval "printf %s ~$user")
export PATH="$PATH:{nix}"
command -v nix-store >/dev/null || {{
  echo "nix_remote_closure_test: no nix-store in $PATH" >&2
  echo "  fix: build --action_env=PATH, or link nix-store into /usr/local/bin" >&2
  exit 1
}}
list=$1
shift
tops=
for file; do
  path=$(readlink -f "$file")
  case $path in
    /nix/store/*)
      inside=${{path#/nix/store/}}
      tops="$tops /nix/store/${{inside%%/*}}" ;;
    *)
      echo "nix_remote_closure_test: $file is not from the Nix store" >&2
      exit 1 ;;
  esac
done
if [ -z "$tops" ]; then
  echo "nix_remote_closure_test: the packages have no files" >&2
  exit 1
fi
nix-store --query --requisites $tops >"$list"
"""

_TEST = """\
#!/bin/sh
count=0
missing=0
while IFS= read -r path; do
  count=$((count + 1))
  if [ ! -e "$path" ] && [ ! -L "$path" ]; then
    echo "missing: $path"
    missing=$((missing + 1))
  fi
done <'{list}'
echo "$count store paths looked for, $missing missing"
[ "$count" -gt 0 ] && [ "$missing" -eq 0 ]
"""

def _closure_test_impl(ctx):
    closure = ctx.actions.declare_file(ctx.label.name + ".closure")
    arguments = ctx.actions.args()
    arguments.add(closure)
    arguments.add_all(ctx.files.packages)
    ctx.actions.run_shell(
        arguments = [arguments],
        command = _LIST.format(nix = _NIX),
        # Only this machine's store has to have the paths.
        execution_requirements = {"local": "1", "no-cache": "1"},
        inputs = ctx.files.packages,
        mnemonic = "NixClosure",
        outputs = [closure],
        progress_message = "Asking Nix for the closures of %{label}",
        use_default_shell_env = True,
    )
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    content = _TEST.format(list = closure.short_path)
    ctx.actions.write(script, content, is_executable = True)
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles([closure]))]

closure_test = rule(
    implementation = _closure_test_impl,
    attrs = {
        "packages": attr.label_list(
            allow_files = True,
            doc = "Files of packages.",
            mandatory = True,
        ),
    },
    doc = "See `nix_remote_closure_test`.",
    test = True,
)
