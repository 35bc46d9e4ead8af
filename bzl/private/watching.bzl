"""How a repository rule watches a file: it runs again when the file changes.

Up to Bazel 7, `repository_ctx.path` watches the file of a label. From Bazel 8 on
(`--incompatible_no_implicit_watch_label`) it does not.
"""

def watch(repository_ctx, path):
    """Watches a file or folder, which need not exist.

    Args:
      repository_ctx: the repository rule's context
      path: a path outside of the rule's own repository
    """
    if hasattr(repository_ctx, "watch"):
        repository_ctx.watch(path)

def watched_path(repository_ctx, label):
    """The path of a label's file, which is watched whatever Bazel's version and flags are.

    Args:
      repository_ctx: the repository rule's context
      label: a `Label`

    Returns:
      a path
    """
    path = repository_ctx.path(label)
    watch(repository_ctx, path)
    return path
