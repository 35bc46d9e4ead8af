"""Drop-in for `@rules_nixpkgs_go//:go.bzl`: a Go SDK from nixpkgs."""

load(
    "@nix_remote_rules_nixpkgs_go//:go.bzl",
    _nixpkgs_go_configure = "nixpkgs_go_configure",
)

nixpkgs_go_configure = _nixpkgs_go_configure
