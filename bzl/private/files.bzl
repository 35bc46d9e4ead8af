"""How a repository rule writes a text file."""

load(":bazel_version.bzl", "is_older", "this_bazel")

def write_file(repository_ctx, path, content, executable = False):
    """Writes a file whose text has the encoding of what the rule was given or has read.

    Bazel up to 7 keeps the bytes of such a text only if it is told so. From 8 on it always
    does, and the argument for it is to be removed.

    Args:
      repository_ctx: the repository rule's context
      path: where, in the repository
      content: the text
      executable: whether it is a program
    """
    encoding = {"legacy_utf8": False} if is_older(this_bazel(), "8.0.0") else {}
    repository_ctx.file(path, content, executable = executable, **encoding)
