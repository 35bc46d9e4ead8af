"""Drop-in for `@rules_nixpkgs_java//:java.bzl`: a JDK from nixpkgs."""

load(
    "@nix_remote_rules_nixpkgs_java//:java.bzl",
    _nixpkgs_java_configure = "nixpkgs_java_configure",
)

nixpkgs_java_configure = _nixpkgs_java_configure
