"""Drop-in for `@rules_nixpkgs_nodejs//:nodejs.bzl`: Node.js from nixpkgs."""

load(
    "@nix_remote_rules_nixpkgs_nodejs//:nodejs.bzl",
    _nixpkgs_nodejs_configure = "nixpkgs_nodejs_configure",
    _nixpkgs_nodejs_configure_platforms = "nixpkgs_nodejs_configure_platforms",
)

nixpkgs_nodejs_configure = _nixpkgs_nodejs_configure
nixpkgs_nodejs_configure_platforms = _nixpkgs_nodejs_configure_platforms
