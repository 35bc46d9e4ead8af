"""The implementation of `nix_remote_closure_test`: a shell script that checks each path.

The script uses only the shell, because every other program may be missing. The closures come
from the fetches: each fetch leaves a list in the repository of its package. Without a host, or
for files outside of packages, an action asks the local Nix.
"""

load("@nix_remote_testing//:fetches.bzl", "HOSTS", "NIX_STORE")
load(":closures.bzl", "closure_of")
load(":shell.bzl", "quoted")

_ASK = """\
set -eu
nix_store={nix_store}
[ "$nix_store" ] || {{
  echo "nix_remote_closure_test: Bazel's fetches find no nix-store on PATH" >&2
  echo "  fix: put it on the PATH that Bazel is started with, or on that of --repo_env=PATH=..." >&2
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
      echo "nix_remote_closure_test: $file is not in the Nix store" >&2
      exit 1 ;;
  esac
done
if [ -z "$tops" ]; then
  echo "nix_remote_closure_test: the packages have no files" >&2
  exit 1
fi
"$nix_store" --query --requisites $tops >"$list"
"""

# Closures of several packages share paths; the script counts each once, by its hash.
_TEST = """\
#!/bin/sh
count=0
missing=0
for list in {lists}; do
  while IFS= read -r path; do
    hash=${{path#/nix/store/}}
    hash=${{hash%%-*}}
    case $hash in
      '' | *[!0-9a-z]*)
        echo "not a store path: $path"
        exit 1 ;;
    esac
    eval "seen=\\${{seen_$hash-}}"
    if [ "$seen" ]; then continue; fi
    eval "seen_$hash=1"
    count=$((count + 1))
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then
      echo "missing: $path"
      missing=$((missing + 1))
    fi
  done <"$list"
done
echo "$count store paths looked for, $missing missing"
[ "$count" -gt 0 ] && [ "$missing" -eq 0 ]
"""

def _closure_test_impl(ctx):
    lists = list(ctx.files.closures)
    if ctx.attr.packages:
        lists.append(_asked(ctx))
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    content = _TEST.format(lists = " ".join([quoted(file.short_path) for file in lists]))
    ctx.actions.write(script, content, is_executable = True)
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles(lists))]

def _asked(ctx):
    closure = ctx.actions.declare_file(ctx.label.name + ".closure")
    arguments = ctx.actions.args()
    arguments.add(closure)
    arguments.add_all(ctx.files.packages)
    ctx.actions.run_shell(
        arguments = [arguments],
        command = _ASK.format(nix_store = quoted(NIX_STORE)),
        # Only the local store is known to have the paths.
        execution_requirements = {"local": "1", "no-cache": "1"},
        inputs = ctx.files.packages,
        mnemonic = "NixClosure",
        outputs = [closure],
        progress_message = "Asking Nix for the closures of %{label}",
        use_default_shell_env = True,
    )
    return closure

_closure_test = rule(
    implementation = _closure_test_impl,
    attrs = {
        "closures": attr.label_list(allow_files = True, doc = "Lists that fetches left."),
        "packages": attr.label_list(allow_files = True, doc = "Files whose closures Nix lists."),
    },
    doc = "See `nix_remote_closure_test`.",
    test = True,
)

def closure_test(name, packages, ask_nix, **kwargs):
    """Declares the test.

    Args:
      name: the test's name
      packages: labels, as in the BUILD file
      ask_nix: whether to ask Nix even if fetches leave lists
      **kwargs: other attributes of tests
    """
    repositories = {package: _repository(package) for package in packages}
    sources = closure_sources(repositories, HOSTS, ask_nix)
    _closure_test(name = name, closures = sources.lists, packages = sources.asked, **kwargs)

def closure_sources(repositories, hosts, ask_nix):
    """Where the closure of each package comes from.

    Args:
      repositories: package -> its repository; empty if that is the repository of the BUILD file
      hosts: the hosts to which fetches copy
      ask_nix: whether to ask Nix even if fetches leave lists

    Returns:
      a struct with `lists`, the labels of lists that fetches left, and `asked`, the packages
      for which Nix is asked
    """
    lists = {}
    asked = []
    for package, repository in repositories.items():
        if hosts and repository and not ask_nix:
            lists[closure_of(repository)] = None
        else:
            asked.append(package)
    return struct(asked = asked, lists = lists.keys())

def _repository(package):
    """The repository of a package, for a label; empty if it is that of the BUILD file."""

    # Older versions of Bazel cannot resolve the label.
    if not hasattr(native, "package_relative_label"):
        return ""
    repository = str(native.package_relative_label(package)).partition("//")[0]
    return repository if repository.strip("@") else ""
