"""Drop-in for `@rules_nixpkgs_cc//:foreign_cc.bzl`: CMake, Make and Ninja from nixpkgs.

For WORKSPACE files only: the original registers its toolchains, which a module extension
cannot do.
"""

load(
    "@nix_remote_rules_nixpkgs_cc//:foreign_cc.bzl",
    _nixpkgs_foreign_cc_configure = "nixpkgs_foreign_cc_configure",
)

nixpkgs_foreign_cc_configure = _nixpkgs_foreign_cc_configure
