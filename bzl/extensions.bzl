"""Module extensions for MODULE.bazel: drop-ins for those of rules_nixpkgs, same tags.

    nix_pkg = use_extension("@nix_remote//bzl:extensions.bzl", "nix_pkg")

takes the place of the extension in `@rules_nixpkgs_core//extensions:package.bzl`.
"""

load("@nix_remote_rules_nixpkgs_core//extensions:package.bzl", _nix_pkg = "nix_pkg")

nix_pkg = _nix_pkg
