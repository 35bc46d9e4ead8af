"""Packages of flake.nix."""

# Without nix_remote: load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_flake_package")
load("@nix_remote//bzl:nixpkgs.bzl", "nixpkgs_flake_package")

def _flake_packages_impl(_):
    for name in ["bash", "hello"]:
        nixpkgs_flake_package(
            name = name,
            nix_flake_file = "//:flake.nix",
            nix_flake_lock_file = "//:flake.lock",
            nixopts = ["--extra-experimental-features", "nix-command flakes"],
            package = name,
        )

flake_packages = module_extension(_flake_packages_impl)
