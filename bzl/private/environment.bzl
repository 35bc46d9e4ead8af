"""How a repository rule reads an environment variable so that Bazel notices a change."""

HOST_VARIABLE = "BAZEL_NIX_REMOTE"
PYTHON_VARIABLE = "NIX_REMOTE_PYTHON"

def read_variable(repository_ctx, name):
    """The value of an environment variable; empty when it is not set.

    Before Bazel 7.1 a rule has no `getenv`, and only the names in its `environ`
    are tracked: a rule that calls this needs the name there, too.

    Args:
      repository_ctx: the repository rule's context
      name: the variable's name

    Returns:
      a string, never None
    """
    if hasattr(repository_ctx, "getenv"):
        return repository_ctx.getenv(name, "")
    return repository_ctx.os.environ.get(name, "")

def hosts(value):
    """The hosts that packages are to be copied to.

    Args:
      value: what the variable says: names with spaces between them

    Returns:
      a list of names, each once; empty if there is none
    """
    return {name: None for name in value.split(" ") if name}.keys()
