"""Toolchains from nixpkgs."""

# Without nix_remote: load("@rules_nixpkgs_python//:python.bzl", "nixpkgs_python_configure")
load("@nix_remote//bzl/toolchains:python.bzl", "nixpkgs_python_configure")

def _nix_toolchains_impl(_):
    # An extension cannot register toolchains; MODULE.bazel does.
    nixpkgs_python_configure(
        name = "nix_python",
        register = False,
        repository = "@nixpkgs",
    )

nix_toolchains = module_extension(_nix_toolchains_impl)
