"""Drop-in for `@rules_nixpkgs_posix//:posix.bzl`: a POSIX shell toolchain from nixpkgs."""

load(
    "@nix_remote_rules_nixpkgs_posix//:posix.bzl",
    _nixpkgs_sh_posix_configure = "nixpkgs_sh_posix_configure",
)

nixpkgs_sh_posix_configure = _nixpkgs_sh_posix_configure
