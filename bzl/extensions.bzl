"""Module extensions: drop-ins for those of rules_nixpkgs_core, with the same tags.

    nix_pkg = use_extension("@nix_remote//bzl:extensions.bzl", "nix_pkg")

| Extension | Replaces |
|---|---|
| `nix_pkg` | `nix_pkg` in `@rules_nixpkgs_core//extensions:package.bzl` |
| `rules_nixpkgs` | `rules_nixpkgs` in `@rules_nixpkgs_core//extensions:rules_nixpkgs.bzl` |
"""

load("@nix_remote_rules_nixpkgs_core//extensions:package.bzl", _nix_pkg = "nix_pkg")
load(
    "@nix_remote_rules_nixpkgs_core//extensions:rules_nixpkgs.bzl",
    _rules_nixpkgs = "rules_nixpkgs",
)

nix_pkg = _nix_pkg
rules_nixpkgs = _rules_nixpkgs
