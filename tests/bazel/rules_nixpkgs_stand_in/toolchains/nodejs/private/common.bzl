"""Stand-in for tests, not rules_nixpkgs."""

load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_package")

PLATFORMS = {"x86_64-linux": "linux_amd64"}

def nixpkgs_nodejs(name, attribute_path, repository):
    """Declares a package."""
    nixpkgs_package(name = name, attribute_path = attribute_path, repository = repository)
