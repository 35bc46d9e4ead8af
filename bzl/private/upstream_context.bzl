"""The `repository_ctx` that implementations of rules_nixpkgs get if a host is set."""

load(":watching.bzl", "watch", "watched_path")

def upstream_context(repository_ctx, hidden):
    """A stand-in for `repository_ctx` that hides a variable and watches the files of labels.

    rules_nixpkgs relies on implicit watching of labels. Since Bazel 8, without this stand-in, a
    package would not follow edits of its Nix files, or a new revision of its nixpkgs.

    Args:
      repository_ctx: the repository rule's context
      hidden: the name of an environment variable that the stand-in lacks. Processes that it
        starts still inherit the variable.

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

    # Functions that watch the file of a label by themselves (with an argument `watch`) stay
    # unchanged.
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
    # In Bazel 7, every struct has two further functions, which a new struct must not get.
    names = [name for name in dir(value) if name not in ["to_json", "to_proto"]]
    return {name: getattr(value, name) for name in names}

def _watch_labels(repository_ctx, values):
    for value in values:
        if type(value) == "Label":
            watch(repository_ctx, repository_ctx.path(value))
