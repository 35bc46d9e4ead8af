"""Writes text files in a repository rule."""

def write_file(repository_ctx, path, content, executable = False):
    """Writes a text that keeps its encoding.

    Bazel up to 7 changes characters that are not ASCII, unless an argument prevents it. Since
    Bazel 8 it does not, and the argument will be removed. So the argument is passed only where it
    is needed, which a check decides: a Bazel built from source does not know its version.

    Args:
      repository_ctx: the repository rule's context
      path: the path in the repository
      content: the text
      executable: whether the file is a program
    """
    repository_ctx.file(path, content, executable = executable)
    if repository_ctx.read(path) != content:
        repository_ctx.file(path, content, executable = executable, legacy_utf8 = False)
