"""The `repository_ctx` that rules_nixpkgs' implementations get when a host is set."""

load(":watching.bzl", "watch", "watched_path")

def upstream_context(repository_ctx, hidden):
    """A stand-in for `repository_ctx` that hides a variable, and watches the files of labels.

    rules_nixpkgs relies on labels being watched: without that, a package does not follow an
    edit of its Nix files, or a new revision of its nixpkgs, from Bazel 8 on.

    Args:
      repository_ctx: the repository rule's context
      hidden: the name of an environment variable that is not set in the stand-in. Processes
        that it starts still inherit the variable.

    Returns:
      a struct with every field of `repository_ctx`
    """
    fields = _fields(repository_ctx)
    environ = dict(repository_ctx.os.environ)
    environ.pop(hidden, None)
    fields["os"] = struct(**(_fields(repository_ctx.os) | {"environ": environ}))
    if "getenv" in fields:
        getenv = fields["getenv"]
        fields["getenv"] = (
            lambda asked, default = None: default if asked == hidden else getenv(asked, default)
        )

    # The functions that watch a label's file by themselves, by an argument `watch`, are left
    # as they are.
    def path(asked, **kwargs):
        if type(asked) == "Label":
            return watched_path(repository_ctx, asked)
        return repository_ctx.path(asked, **kwargs)

    def symlink(target, link_name):
        _watch_labels(repository_ctx, [target])
        repository_ctx.symlink(target, link_name)

    def execute(arguments, **kwargs):
        _watch_labels(repository_ctx, arguments)
        return repository_ctx.execute(arguments, **kwargs)

    for name, function in {"execute": execute, "path": path, "symlink": symlink}.items():
        if name in fields:
            fields[name] = function
    return struct(**fields)

def _fields(value):
    # In Bazel 7 every struct has two functions more, which cannot be given to a new one.
    names = [name for name in dir(value) if name not in ["to_json", "to_proto"]]
    return {name: getattr(value, name) for name in names}

def _watch_labels(repository_ctx, values):
    for value in values:
        if type(value) == "Label":
            watch(repository_ctx, repository_ctx.path(value))
