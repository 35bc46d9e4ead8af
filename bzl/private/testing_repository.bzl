"""What tests have to know of the fetches of this workspace: `fetches.bzl`.

It is fetched only where `//bzl:testing.bzl` is loaded.
"""

load(":environment.bzl", "HOST_VARIABLE", "hosts", "read_variable", "tracked_variables")
load(":files.bzl", "write_file")

_FETCHES = """\
# The hosts to which fetches copy packages.
HOSTS = {hosts}

# The program, where a fetch finds it; empty if it does not.
NIX_STORE = {nix_store}
"""

def _testing_repository_impl(repository_ctx):
    # As rules_nixpkgs looks for Nix. Actions may have another PATH.
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
    doc = "Where fetches copy to, and where they find Nix.",
    **tracked_variables(HOST_VARIABLE, "PATH")
)
