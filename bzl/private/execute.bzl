"""Runs a command in a repository rule, and fails the fetch if the command fails."""

def execute_checked(repository_ctx, what, command, failure, timeout, quiet = True):
    """Runs a command.

    Args:
      repository_ctx: the repository rule's context
      what: what the command does, shown while it runs
      command: a list of words, paths and labels
      failure: a function that returns the error text, given what `execute` returned
      timeout: in seconds
      quiet: whether Bazel hides the command's output

    Returns:
      the standard output of the command, which has succeeded
    """
    repository_ctx.report_progress(what)
    done = repository_ctx.execute(command, quiet = quiet, timeout = timeout)
    if done.return_code != 0:
        fail(failure(done))
    return done.stdout
