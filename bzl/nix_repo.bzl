"""The module extension `nix_repo`: a drop-in for `@rules_nixpkgs_core//extensions:repository.bzl`.

Nix repositories have no store paths, so the original works too. With this one, packages are
also fetched again when the revision of their nixpkgs changes. If it declares a repository
`nixpkgs`, that is the default of nix_remote's other extensions; other repositories are used by
the tags that name them.
"""

load("@nix_remote_rules_nixpkgs_core//extensions:repository.bzl", _nix_repo = "nix_repo")

nix_repo = _nix_repo
