"""The module extension `nix_nodejs`: a drop-in for `@rules_nixpkgs_nodejs//extensions:toolchain.bzl`.

rules_nixpkgs_nodejs registers the toolchains of its own extension. Register those of this
extension in your MODULE.bazel: toolchains of the root module have precedence.
"""

load("@nix_remote_rules_nixpkgs_nodejs//extensions:toolchain.bzl", _nix_nodejs = "nix_nodejs")

nix_nodejs = _nix_nodejs
