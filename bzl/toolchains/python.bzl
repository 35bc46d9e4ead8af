"""Drop-in for `@rules_nixpkgs_python//:python.bzl`: Python and its packages from nixpkgs."""

load(
    "@nix_remote_rules_nixpkgs_python//:python.bzl",
    _nixpkgs_python_configure = "nixpkgs_python_configure",
    _nixpkgs_python_repository = "nixpkgs_python_repository",
)

nixpkgs_python_configure = _nixpkgs_python_configure
nixpkgs_python_repository = _nixpkgs_python_repository
