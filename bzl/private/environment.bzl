"""Reads environment variables in a repository rule, so that Bazel tracks them."""

load(":bazel_version.bzl", "is_older", "this_bazel")

HOST_VARIABLE = "BAZEL_NIX_REMOTE"
PYTHON_VARIABLE = "NIX_REMOTE_PYTHON"

# Since this version, a rule that reads a variable with `getenv` runs again when it changes.
_GETENV_SINCE = "7.1.0"

def needs_environ():
    """Whether a rule must list in `environ` the variables that it reads.

    Returns:
      also True if the version is unknown: `environ` does no harm up to Bazel 9
    """
    version = this_bazel()
    return not version or is_older(version, _GETENV_SINCE)

def tracked_variables(*names):
    """Arguments of `repository_rule` that let Bazel track variables.

    Args:
      *names: the variables that the implementation reads with `read_variable`

    Returns:
      a dict; empty if `read_variable` suffices
    """
    return {"environ": list(names)} if needs_environ() else {}

def read_variable(repository_ctx, name):
    """The value of an environment variable; empty if it is not set.

    A rule that calls this needs `tracked_variables` with that name among its arguments.

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
    """The hosts that packages are copied to.

    Args:
      value: the value of the variable: names separated by spaces

    Returns:
      a list of names without duplicates
    """
    return {name: None for name in value.split(" ") if name}.keys()
