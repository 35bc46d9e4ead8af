"""Drop-in for `@rules_nixpkgs_rust//:rust.bzl`: a Rust compiler from nixpkgs."""

load(
    "@nix_remote_rules_nixpkgs_rust//:rust.bzl",
    _nixpkgs_rust_configure = "nixpkgs_rust_configure",
)

nixpkgs_rust_configure = _nixpkgs_rust_configure
