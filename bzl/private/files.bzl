"""How a repository rule writes a text file."""

def write_file(repository_ctx, path, content, executable = False):
    """Writes a file whose text has the encoding of what the rule was given or has read.

    Bazel up to 7 changes letters that are not ASCII, unless an argument says otherwise. From 8 on
    it does not, and the argument is to be removed: so it is given only where it is needed. The
    version does not tell: Bazel does not know its own if it was built from source.

    Args:
      repository_ctx: the repository rule's context
      path: where, in the repository
      content: the text
      executable: whether it is a program
    """
    repository_ctx.file(path, content, executable = executable)
    if repository_ctx.read(path) != content:
        repository_ctx.file(path, content, executable = executable, legacy_utf8 = False)
