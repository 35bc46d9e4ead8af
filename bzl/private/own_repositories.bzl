"""The repositories that nix_remote makes for itself, for MODULE.bazel and for WORKSPACE.

Both are fetched only when something needs them: the re-hosted rules when they
are loaded, Python when a package is fetched with a host set.
"""

load(":python.bzl", "python_repository")
load(":rehost.bzl", "rehosted_core_repository")

def declare_own_repositories():
    """Declares them under the names that the `load` statements and labels in `bzl` use."""
    python_repository(name = "nix_remote_python")
    rehosted_core_repository(name = "nix_remote_rules_nixpkgs_core")

own_repositories = module_extension(
    implementation = lambda module_ctx: declare_own_repositories(),
    doc = "For nix_remote's own MODULE.bazel only.",
)
