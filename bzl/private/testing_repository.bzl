"""The repository of `fetches.bzl`: what tests need to know about the fetches of this workspace.

Bazel fetches it only if `//bzl:testing.bzl` is loaded.
"""

load(":environment.bzl", "HOST_VARIABLE", "hosts", "read_variable", "tracked_variables")
load(":files.bzl", "write_file")

_FETCHES = """\
# The hosts to which fetches copy packages.
HOSTS = {hosts}

# The path of nix-store in fetches; empty if they do not find it.
NIX_STORE = {nix_store}
"""

def _testing_repository_impl(repository_ctx):
    # rules_nixpkgs finds Nix in the same way. The PATH of actions may differ.
    read_variable(repository_ctx, "PATH")
    nix_store = repository_ctx.which("nix-store") or ""
    write_file(repository_ctx, "BUILD.bazel", "")
    write_file(repository_ctx, "fetches.bzl", _FETCHES.format(
        hosts = repr(hosts(read_variable(repository_ctx, HOST_VARIABLE))),
        nix_store = repr(str(nix_store)),
    ))

testing_repository = repository_rule(
    implementation = _testing_repository_impl,
    configure = True,
    doc = "The hosts that fetches copy to, and the Nix that they find.",
    **tracked_variables(HOST_VARIABLE, "PATH")
)
