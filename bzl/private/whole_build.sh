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
