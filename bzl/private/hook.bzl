"""What runs around the implementation of rules_nixpkgs' repository rules.

With a host in `BAZEL_NIX_REMOTE`, a fetch succeeds only once the copier has said
that every realised path and its closure are on that host. Without one, nothing
here has any effect.
"""

load(":environment.bzl", "HOST_VARIABLE", "read_variable", "without_variable")
load(":errors.bzl", "COPY_FAILED", "NOTHING_REALISED")

# Resolved for nix_remote; fetched only when a rule asks for its path.
_COPIER = Label("@nix_remote_python//:copier")

_LINKS = "bazel-support"
_LINK_PREFIX = "nix-out-link"

# A day. Bazel's default of ten minutes would end a large first copy.
_COPY_TIMEOUT = 86400

def wrap(implementation):
    """Adds the copy to a repository rule's implementation.

    Args:
      implementation: a function of rules_nixpkgs that realises a package

    Returns:
      a function for `repository_rule(implementation = ...)`
    """

    def realise_and_copy(repository_ctx):
        host = read_variable(repository_ctx, HOST_VARIABLE)
        if not host:
            return implementation(repository_ctx)

        # Before the build: asking for a label's path may restart the rule.
        copier = repository_ctx.path(_COPIER)

        # rules_nixpkgs has a remote mode of its own behind the same variable: it
        # builds on the server and goes on when the copy back fails.
        result = implementation(without_variable(repository_ctx, HOST_VARIABLE))
        _copy(repository_ctx, copier, host)
        return result

    return realise_and_copy

def _copy(repository_ctx, copier, host):
    package = _readable_name(repository_ctx)
    store_paths = _realised_paths(repository_ctx)
    if not store_paths:
        # Without Nix and with `fail_not_supported = False` there is no BUILD file either.
        if repository_ctx.path("BUILD").exists or repository_ctx.path("BUILD.bazel").exists:
            fail(NOTHING_REALISED.format(package = package, host = host))
        return

    error_file = repository_ctx.path(_LINKS).get_child("nix-remote-error")
    arguments = ["copy", "--host=" + host, "--package=" + package]
    if hasattr(repository_ctx, "workspace_root"):
        arguments.append("--workspace=%s" % repository_ctx.workspace_root)
    arguments.append("--error-file=%s" % error_file)

    # What `nix-remote ensure` goes by.
    manifest = repository_ctx.path(_LINKS).get_child("nix-remote").get_child("manifest.json")
    arguments.append("--manifest=%s" % manifest)
    repository_ctx.report_progress("copying {} to {}".format(_count(store_paths), host))
    copied = repository_ctx.execute(
        [copier] + arguments + store_paths,
        quiet = False,
        timeout = _COPY_TIMEOUT,
    )
    if copied.return_code != 0:
        reason = repository_ctx.read(error_file) if error_file.exists else copied.stderr
        fail(COPY_FAILED.format(
            host = host,
            package = package,
            reason = reason.strip(),
            status = copied.return_code,
        ))

def _realised_paths(repository_ctx):
    """The store paths of all out-links: a package has one for each output that was built."""
    links = repository_ctx.path(_LINKS)
    if not links.exists:
        return []
    names = [link.basename for link in links.readdir()]
    out_links = [links.get_child(name) for name in names if name.startswith(_LINK_PREFIX)]
    if not out_links:
        return []

    # Not `realpath`: a store path that is itself a link has to be copied as well.
    shown = repository_ctx.execute(["readlink"] + out_links)
    if shown.return_code != 0:
        fail("nix_remote: readlink failed: " + shown.stderr)
    return sorted({path: None for path in shown.stdout.splitlines()}.keys())

def _readable_name(repository_ctx):
    """The package's name as a person would know it, for messages."""
    given = getattr(repository_ctx.attr, "unmangled_name", None)
    return given or repository_ctx.name.replace("+", "~").split("~")[-1]

def _count(store_paths):
    return "1 store path" if len(store_paths) == 1 else "%d store paths" % len(store_paths)
