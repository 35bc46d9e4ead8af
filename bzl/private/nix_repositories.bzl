"""Which `@nixpkgs` a module extension means when its tags name none.

rules_nixpkgs takes the one that its own `nix_repo` declares. Extensions of nix_remote
take the one of nix_remote's `nix_repo` if the build declares one there, else the same
as rules_nixpkgs: so `nix_repo` can be loaded from either.
"""

load(":files.bzl", "write_file")

_NAME = "nix_remote_default_nixpkgs"

# What rules_nixpkgs would take; see MODULE.bazel.
_UPSTREAM = Label("@nixpkgs//:nixpkgs")

# Tags of `nix_repo` that declare a repository. Not every version has all of them.
_DECLARING_TAGS = ["expr", "file", "flake", "github", "http"]

def _default_nixpkgs_impl(repository_ctx):
    if repository_ctx.attr.declared:
        # A repository of the same extension: the same canonical name but for its end.
        prefix = repository_ctx.name[:-len(_NAME)]
        nixpkgs = "@@%snixpkgs//:nixpkgs" % prefix
    else:
        nixpkgs = str(_UPSTREAM)
    write_file(repository_ctx, "BUILD.bazel", "")
    write_file(repository_ctx, "default.bzl", 'NIXPKGS = "%s"\n' % nixpkgs)

_default_nixpkgs = repository_rule(
    implementation = _default_nixpkgs_impl,
    attrs = {"declared": attr.bool(doc = "Whether nix_remote's `nix_repo` has a `nixpkgs`.")},
    doc = "Says which Nix repository is the default.",
)

def wrap_nix_repo(implementation):
    """Lets nix_remote's `nix_repo` say whether it has a `nixpkgs`.

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
