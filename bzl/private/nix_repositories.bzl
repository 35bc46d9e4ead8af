"""The default `@nixpkgs` of module extensions, for tags that name no Nix repository.

rules_nixpkgs uses the `nixpkgs` that its own `nix_repo` declares. Extensions of nix_remote use
that of nix_remote's `nix_repo` if the build declares one there, else the same as rules_nixpkgs.
So `nix_repo` can be loaded from either.
"""

load(":files.bzl", "write_file")

_NAME = "nix_remote_default_nixpkgs"

# The default of rules_nixpkgs; see MODULE.bazel.
_UPSTREAM = Label("@nixpkgs//:nixpkgs")

# Tags of `nix_repo` that declare a repository. Not every version has all of them.
_DECLARING_TAGS = ["expr", "file", "flake", "github", "http"]

def _default_nixpkgs_impl(repository_ctx):
    if repository_ctx.attr.declared:
        # A repository of the same extension: its canonical name differs only in the end.
        prefix = repository_ctx.name[:-len(_NAME)]
        nixpkgs = "@@%snixpkgs//:nixpkgs" % prefix
    else:
        nixpkgs = str(_UPSTREAM)
    write_file(repository_ctx, "BUILD.bazel", "")
    write_file(repository_ctx, "default.bzl", 'NIXPKGS = "%s"\n' % nixpkgs)

_default_nixpkgs = repository_rule(
    implementation = _default_nixpkgs_impl,
    attrs = {"declared": attr.bool(doc = "Whether nix_remote's `nix_repo` has a `nixpkgs`.")},
    doc = "Defines the default Nix repository.",
)

def wrap_nix_repo(implementation):
    """Makes nix_remote's `nix_repo` record whether it declares a `nixpkgs`.

    Args:
      implementation: the implementation of rules_nixpkgs' `nix_repo`

    Returns:
      a function for `module_extension(implementation = ...)`
    """

    def declare_and_tell(module_ctx):
        declared = [
            tag.name
            for module in module_ctx.modules
            for kind in _DECLARING_TAGS
            for tag in getattr(module.tags, kind, [])
        ]
        _default_nixpkgs(name = _NAME, declared = "nixpkgs" in declared)
        return implementation(module_ctx)

    return declare_and_tell
