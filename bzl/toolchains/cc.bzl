"""Drop-in for `@rules_nixpkgs_cc//:cc.bzl`: a C and C++ compiler from nixpkgs."""

load(
    "@nix_remote_rules_nixpkgs_cc//:cc.bzl",
    _nixpkgs_cc_configure = "nixpkgs_cc_configure",
)

nixpkgs_cc_configure = _nixpkgs_cc_configure
