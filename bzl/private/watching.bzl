"""Watches files in a repository rule: the rule runs again when a file changes.

Up to Bazel 7, `repository_ctx.path` watches the file of a label. Since Bazel 8
(`--incompatible_no_implicit_watch_label`), it does not.
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
    """Watches the file of a label, in every version of Bazel and with every flag.

    Args:
      repository_ctx: the repository rule's context
      label: a `Label`

    Returns:
      the file's path
    """
    path = repository_ctx.path(label)
    watch(repository_ctx, path)
    return path
