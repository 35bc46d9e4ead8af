"""What puts nix_remote into rules_nixpkgs_core itself, for the whole build.

Instead of loading rules from nix_remote, a build can override rules_nixpkgs_core with a
copy of the same version that has the hook in it. Nothing else changes: every package is
copied, those of toolchains and of other modules included.

`PATCH_CMDS` are the `patch_cmds` for that, in a WORKSPACE file. A MODULE.bazel file
cannot load them; it has the same lines as text.
"""

load("//bzl/private:environment.bzl", "needs_environ")
load("//bzl/private:hook.bzl", _wrap = "wrap", _wrap_source = "wrap_source")

# For the patched rules_nixpkgs_core only.
nix_remote_wrap = _wrap
nix_remote_wrap_source = _wrap_source

_PATCH_CMDS = [
    "{ echo 'load(\"@nix_remote//bzl:whole_build.bzl\", \"nix_remote_wrap\", \"nix_remote_wrap_source\")'; sed -e 's/^    implementation = \\(_nixpkgs_.*package_impl\\),$/    implementation = nix_remote_wrap(\\1), configure = True,/' -e 's/^    implementation = \\(_nixpkgs_http_repository_impl\\),$/    implementation = nix_remote_wrap_source(\\1),/' nixpkgs.bzl; } > hooked && mv hooked nixpkgs.bzl",
    "test $(grep -c 'implementation = nix_remote_wrap' nixpkgs.bzl),$(grep -c 'repository_rule(' nixpkgs.bzl) = 3,4 || { echo 'nix_remote does not support this version of rules_nixpkgs_core' >&2; exit 1; }",
    "echo 'bazel_dep(name = \"nix_remote\", version = \"0.1.0\")' >> MODULE.bazel",
]

# For a Bazel that has WORKSPACE files only.
_DECLARE_ENVIRON = "sed -i -e 's/^    implementation = nix_remote_wrap.*,$/& environ = [\"BAZEL_NIX_REMOTE\"],/' nixpkgs.bzl"

PATCH_CMDS = _PATCH_CMDS + ([_DECLARE_ENVIRON] if needs_environ() else [])
