"""The hook: wrappers of the implementations of rules_nixpkgs' repository rules.

With hosts in `BAZEL_NIX_REMOTE`, a fetch succeeds only if the copier reports that every realised
path and its closure are on each of these hosts. Without a host, the hook starts no process and
copies nothing.
"""

load(":closures.bzl", "write_closure")
load(":copying.bzl", "copy_to_all")
load(":environment.bzl", "HOST_VARIABLE", "hosts", "read_variable")
load(":errors.bzl", "NOTHING_REALISED")
load(":files.bzl", "write_file")
load(":upstream_context.bzl", "upstream_context")
load(":watching.bzl", "watched_path")

# Resolved in nix_remote's repository; fetched only when a rule asks for its path.
_COPIER = Label("@nix_remote_python//:copier")

_LINKS = "bazel-support"
_LINK_PREFIX = "nix-out-link"

# A file of a Nix repository that changes with its source, and the list of files that
# `nixpkgs_package` watches.
_SOURCE_FILE = "nix-remote-source"
_WATCHED_FILES = "nix-file-deps"

def wrap(implementation):
    """Adds the copy to a repository rule's implementation.

    Args:
      implementation: a function of rules_nixpkgs that realises a package

    Returns:
      a function for `repository_rule(implementation = ...)`
    """

    # buildifier: disable=return-value
    def realise_and_copy(repository_ctx):
        value = read_variable(repository_ctx, HOST_VARIABLE)
        if not value:
            return implementation(repository_ctx)

        # With this variable set, rules_nixpkgs would build on the server and ignore a
        # failure to copy the result back.
        context = upstream_context(repository_ctx, HOST_VARIABLE)
        copy_to = hosts(value)
        if not copy_to:
            return implementation(context)

        # Before the build: resolving a label may restart the rule.
        copier = watched_path(repository_ctx, _COPIER)
        settings = json.decode(repository_ctx.read(copier.dirname.get_child("settings.json")))

        # The result is dropped: Bazel may take a repository that calls itself reproducible from
        # its repository contents cache, and then nothing would be copied.
        implementation(context)
        out_links = _realised(repository_ctx, copy_to)
        if out_links:
            manifests = copy_to_all(
                repository_ctx,
                copier,
                package = _readable_name(repository_ctx),
                hosts = copy_to,
                arguments = _workspace(repository_ctx, settings) + settings["arguments"],
                paths = out_links + settings["store_paths"],
            )

            # The manifests of all hosts list the same store paths.
            write_closure(repository_ctx, manifests[0])

    return realise_and_copy

def wrap_source(implementation):
    """Makes packages follow changes of the Nix repository that they come from.

    Bazel fetches a package again when a file changes that its rule watches. Of nixpkgs, that is
    only `default.nix`, which is the same in almost every revision. Without a host, the
    repository is as rules_nixpkgs makes it.

    Args:
      implementation: a function of rules_nixpkgs that downloads a Nix repository

    Returns:
      a function for `repository_rule(implementation = ...)`
    """

    # buildifier: disable=return-value
    def download_and_describe(repository_ctx):
        if not hosts(read_variable(repository_ctx, HOST_VARIABLE)):
            return implementation(repository_ctx)

        # The result is dropped: it does not describe the two files that are added.
        implementation(repository_ctx)
        attr = repository_ctx.attr
        source = [attr.url, attr.urls, attr.sha256, attr.integrity, attr.strip_prefix]
        write_file(repository_ctx, _SOURCE_FILE, json.encode(source))
        listed = repository_ctx.path(_WATCHED_FILES)
        others = repository_ctx.read(listed) if listed.exists else ""
        watched = (others.strip() + "\n" + _SOURCE_FILE).strip()
        write_file(repository_ctx, _WATCHED_FILES, watched)

    return download_and_describe

def _realised(repository_ctx, copy_to):
    """Links to the package in the store; none if rules_nixpkgs did without Nix."""
    out_links = _out_links(repository_ctx)

    # Without Nix and with `fail_not_supported = False`, there is no BUILD file either.
    files = [repository_ctx.path(name) for name in ["BUILD", "BUILD.bazel"]]
    if not out_links and [file for file in files if file.exists]:
        fail(NOTHING_REALISED.format(
            host = " and ".join(copy_to),
            package = _readable_name(repository_ctx),
        ))
    return out_links

def _workspace(repository_ctx, settings):
    """The option that names the workspace; none if the workspace is unknown."""
    workspace = settings["workspace"] or str(getattr(repository_ctx, "workspace_root", ""))
    return ["--workspace=" + workspace] if workspace else []

def _out_links(repository_ctx):
    """All out-links: one for each output that was built.

    The copier resolves them: a process for that would cost as much as the copier.
    """
    links = repository_ctx.path(_LINKS)
    if not links.exists:
        return []
    names = sorted([link.basename for link in links.readdir()])
    return [links.get_child(name) for name in names if name.startswith(_LINK_PREFIX)]

def _readable_name(repository_ctx):
    """The package's apparent name, for messages."""
    given = getattr(repository_ctx.attr, "unmangled_name", None)
    return given or repository_ctx.name.replace("+", "~").split("~")[-1]
