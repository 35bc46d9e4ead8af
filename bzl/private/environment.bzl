"""How a repository rule reads an environment variable so that Bazel notices a change."""

load(":bazel_version.bzl", "is_older", "this_bazel")

HOST_VARIABLE = "BAZEL_NIX_REMOTE"
PYTHON_VARIABLE = "NIX_REMOTE_PYTHON"

# From here on, a rule that reads a variable by `getenv` runs again when it changes.
_GETENV_SINCE = "7.1.0"

def needs_environ():
    """Whether a rule of this Bazel must name in `environ` the variables that it reads.

    Returns:
      True as well if the version is not known: up to Bazel 9 it does no harm
    """
    version = this_bazel()
    return not version or is_older(version, _GETENV_SINCE)

def tracked_variables(*names):
    """Arguments of `repository_rule` that let Bazel notice when variables change.

    Args:
      *names: what the rule's implementation reads with `read_variable`

    Returns:
      a dict; empty where `read_variable` does it
    """
    return {"environ": list(names)} if needs_environ() else {}

def read_variable(repository_ctx, name):
    """The value of an environment variable; empty when it is not set.

    A rule that calls this has `tracked_variables` with that name among its arguments.

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
