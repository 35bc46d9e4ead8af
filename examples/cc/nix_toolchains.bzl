"""Toolchains from nixpkgs."""

# Without nix_remote: load("@rules_nixpkgs_cc//:cc.bzl", "nixpkgs_cc_configure")
load("@nix_remote//bzl/toolchains:cc.bzl", "nixpkgs_cc_configure")

def _nix_toolchains_impl(_):
    # An extension cannot register toolchains; MODULE.bazel does.
    nixpkgs_cc_configure(
        name = "nix_cc",
        register = False,
        repository = "@nixpkgs",
    )

nix_toolchains = module_extension(_nix_toolchains_impl)
