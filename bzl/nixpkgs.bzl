"""Drop-in for `@rules_nixpkgs_core//:nixpkgs.bzl`, with the same names and arguments.

When a package declared with these macros is fetched, it is copied to the hosts in
`BAZEL_NIX_REMOTE`. If that variable is unset or empty, the macros are plain rules_nixpkgs.
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
