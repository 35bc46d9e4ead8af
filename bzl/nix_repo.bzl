"""The module extension `nix_repo`: a drop-in for `@rules_nixpkgs_core//extensions:repository.bzl`.

Nix repositories have no store paths, so the original works just as well, but for one
thing: from here, packages are fetched again when the revision of their nixpkgs changes.
What this declares is for tags that name it; the `nixpkgs` of it is also the default of
the other extensions of nix_remote.
"""

load("@nix_remote_rules_nixpkgs_core//extensions:repository.bzl", _nix_repo = "nix_repo")

nix_repo = _nix_repo
