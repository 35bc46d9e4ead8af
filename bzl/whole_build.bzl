"""Puts nix_remote into rules_nixpkgs_core itself, for the whole build.

Instead of loading rules from nix_remote, a build can override rules_nixpkgs_core with a
copy of the same version that has the hook in it. Then every package is copied, including
those of toolchains and of other modules.

`PATCH_CMDS` is the value of `patch_cmds` for this override in a WORKSPACE file. A
MODULE.bazel file cannot load it and has the same script as text.
"""

load("//bzl/private:environment.bzl", "needs_environ")
load("//bzl/private:hook.bzl", _wrap = "wrap", _wrap_source = "wrap_source")

# For the patched rules_nixpkgs_core only.
nix_remote_wrap = _wrap
nix_remote_wrap_source = _wrap_source

# A copy of private/whole_build.sh, made by `python -m tests.whole_build`.
_SCRIPT = r"""
# Puts nix_remote's hook into the rules_nixpkgs_core in the current folder, or refuses it.
set -eu
sed '
  s/^\(    implementation = \)\(_nixpkgs_.*package_impl\),$/\1nix_remote_wrap(\2), configure = True,/
  s/^\(    implementation = \)\(_nixpkgs_http_repository_impl\),$/\1nix_remote_wrap_source(\2),/
' nixpkgs.bzl > hooked.bzl
wrapped=$(grep -c 'implementation = nix_remote_wrap' hooked.bzl || :)
rules=$(grep -c 'repository_rule(' hooked.bzl || :)
if [ "$wrapped,$rules" != 3,4 ]; then
  echo 'nix_remote does not support this version of rules_nixpkgs_core' >&2
  exit 1
fi
{
  echo 'load("@nix_remote//bzl:whole_build.bzl", "nix_remote_wrap", "nix_remote_wrap_source")'
  cat hooked.bzl
} > nixpkgs.bzl
rm hooked.bzl
echo 'bazel_dep(name = "nix_remote", version = "0.1.0")' >> MODULE.bazel
"""

# Bazel before 7.1 tracks only the variables that `environ` lists. These versions use WORKSPACE
# files.
_DECLARE_ENVIRON = """
set -eu
sed '
  s/^    implementation = nix_remote_wrap.*,$/& environ = ["BAZEL_NIX_REMOTE"],/
' nixpkgs.bzl > hooked.bzl
mv hooked.bzl nixpkgs.bzl
"""

PATCH_CMDS = [_SCRIPT] + ([_DECLARE_ENVIRON] if needs_environ() else [])
