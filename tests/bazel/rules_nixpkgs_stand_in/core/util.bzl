"""Stand-in for tests, not rules_nixpkgs: helpers of its repository rules."""

def find_program(repository_ctx, name):
    """The path of a program; fails if it is not on PATH.

    Args:
      repository_ctx: the repository rule's context
      name: the program's name

    Returns:
      a path
    """
    path = repository_ctx.which(name)
    if not path:
        fail("stand-in: %s is not on PATH" % name)
    return path

def execute_or_fail(repository_ctx, command, quiet = False):
    """Runs a command that must succeed.

    Args:
      repository_ctx: the repository rule's context
      command: the program and its arguments
      quiet: whether to hide what it prints

    Returns:
      its standard output
    """
    done = repository_ctx.execute(command, quiet = quiet, timeout = 600)
    if done.return_code != 0:
        fail("stand-in: {} failed:\n{}".format(command[0], done.stderr))
    return done.stdout

def with_locations(text, paths):
    """Replaces each `$(location LABEL)` by the file's path.

    Args:
      text: an option for Nix
      paths: LABEL -> path

    Returns:
      the new text
    """
    for label, path in paths.items():
        text = text.replace("$(location %s)" % label, str(path))
    return text

def _toolchain_impl(repository_ctx):
    repository_ctx.file("BUILD.bazel", repository_ctx.attr.content, executable = False)

toolchain_repository = repository_rule(
    implementation = _toolchain_impl,
    attrs = {"content": attr.string(doc = "What its BUILD file says.")},
    doc = "A repository that names a package, and does not need it before it is used.",
)
