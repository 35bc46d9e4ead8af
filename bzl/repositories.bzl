"""What a WORKSPACE file calls after `rules_nixpkgs_dependencies()`."""

load("//bzl/private:own_repositories.bzl", "declare_own_repositories")

def nix_remote_dependencies():
    """Declares the repositories that `@nix_remote//bzl:nixpkgs.bzl` needs.

    `@rules_nixpkgs_core` must be declared as well; `rules_nixpkgs_dependencies()`
    does that.
    """
    declare_own_repositories()
