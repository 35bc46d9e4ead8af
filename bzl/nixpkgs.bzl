"""Drop-in for `@rules_nixpkgs_core//:nixpkgs.bzl`: same names, same arguments.

A package loaded from here is copied to the host in `BAZEL_NIX_REMOTE` when it
is fetched; when that variable is unset or empty, it is plain rules_nixpkgs.
"""

load(
    "@nix_remote_rules_nixpkgs_core//:nixpkgs.bzl",
    _nixpkgs_flake_package = "nixpkgs_flake_package",
    _nixpkgs_git_repository = "nixpkgs_git_repository",
    _nixpkgs_http_repository = "nixpkgs_http_repository",
    _nixpkgs_local_repository = "nixpkgs_local_repository",
    _nixpkgs_package = "nixpkgs_package",
)

nixpkgs_flake_package = _nixpkgs_flake_package
nixpkgs_git_repository = _nixpkgs_git_repository
nixpkgs_http_repository = _nixpkgs_http_repository
nixpkgs_local_repository = _nixpkgs_local_repository
nixpkgs_package = _nixpkgs_package
