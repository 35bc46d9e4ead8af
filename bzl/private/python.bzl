"""The repository of the copier: its Python, and the program that starts it.

The Python is a virtual environment with the packages of a hash-locked list, or the interpreter
that `NIX_REMOTE_PYTHON` names. Without a host in `BAZEL_NIX_REMOTE`, the repository stays empty.

It also contains `settings.json`, the workspace's configuration for every copy, and `hosts`, the
hosts that fetches copy to.
"""

load(
    ":environment.bzl",
    "HOST_VARIABLE",
    "PYTHON_VARIABLE",
    "hosts",
    "read_variable",
    "tracked_variables",
)
load(
    ":errors.bzl",
    "COPIER_BROKEN",
    "NO_PACKAGES",
    "NO_PYTHON",
    "NO_VIRTUAL_ENVIRONMENT",
    "PYTHON_LACKS_MODULES",
    "PYTHON_NOT_ABSOLUTE",
    "PYTHON_UNSUITABLE",
)
load(":execute.bzl", "execute_checked")
load(":files.bzl", "write_file")
load(":launcher.bzl", "launcher_text", "program_text")
load(":watching.bzl", "watch", "watched_path")

_SOURCES = Label("//nix_remote:__init__.py")

_TIMEOUT = 1800

# Prints the file that is replaced when this Python is upgraded.
_PROBE = """
import os, sys
if sys.version_info < (3, 9):
    sys.exit("Python " + sys.version)
print(os.path.realpath(sys.executable))
"""

_BUILD = """\
exports_files(["copier"])

filegroup(
    name = "copier_if_any",
    srcs = glob(["copier"], allow_empty = True),
    visibility = ["//visibility:public"],
)
"""

def python_repository_impl(repository_ctx):
    """The implementation of `python_repository`; for its tests.

    Args:
      repository_ctx: the repository rule's context
    """
    write_file(repository_ctx, "BUILD.bazel", _BUILD)

    # Without a host, only `bazel fetch --all` gets here.
    copy_to = hosts(read_variable(repository_ctx, HOST_VARIABLE))
    if not copy_to:
        return

    # All labels first: resolving a label may restart the rule.
    sources = watched_path(repository_ctx, _SOURCES).dirname.dirname
    requirements = watched_path(repository_ctx, repository_ctx.attr.requirements)
    base = repository_ctx.attr.base
    if base:
        base = watched_path(repository_ctx, base)

    chosen = read_variable(repository_ctx, PYTHON_VARIABLE)
    if chosen:
        python = _given(repository_ctx, chosen)
    else:
        python = _installed(repository_ctx, base, requirements)
    bytecode = repository_ctx.path("bytecode")
    _run(
        repository_ctx,
        "importing paramiko and sshconf",
        [python, "-I", "-X", "pycache_prefix=%s" % bytecode, "-c", "import paramiko, sshconf"],
        PYTHON_LACKS_MODULES if chosen else NO_PACKAGES,
        python,
    )

    write_file(repository_ctx, "copier.py", program_text(sources))
    text = launcher_text(python, repository_ctx.path("copier.py"), sources, bytecode)
    write_file(repository_ctx, "copier", text, executable = True)
    write_file(repository_ctx, "hosts", " ".join(copy_to) + "\n")
    write_file(repository_ctx, "settings.json", repository_ctx.attr.settings)
    _run(
        repository_ctx,
        "starting the copier",
        [repository_ctx.path("copier"), "--help"],
        COPIER_BROKEN,
        python,
    )

def _given(repository_ctx, python):
    """Checks and returns the interpreter that the user chose."""
    if not python.startswith("/"):
        fail(PYTHON_NOT_ABSOLUTE.format(python = python))
    _check_and_watch(repository_ctx, python)
    return python

def _installed(repository_ctx, base, requirements):
    """Creates a virtual environment; returns its interpreter."""
    base = base or repository_ctx.which("python3")
    if not base:
        fail(NO_PYTHON)
    _check_and_watch(repository_ctx, base)
    _run(
        repository_ctx,
        "creating a virtual environment",
        [base, "-I", "-m", "venv", "venv"],
        NO_VIRTUAL_ENVIRONMENT,
        base,
    )
    python = repository_ctx.path("venv/bin/python")
    _run(
        repository_ctx,
        "installing paramiko and sshconf",
        [python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"] +
        ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", requirements],
        NO_PACKAGES,
        python,
    )
    return python

def _check_and_watch(repository_ctx, python):
    """Fails if the interpreter is too old; Bazel fetches again when it is upgraded."""
    real = _run(
        repository_ctx,
        "checking %s" % python,
        [python, "-I", "-c", _PROBE],
        PYTHON_UNSUITABLE,
        python,
    )
    watch(repository_ctx, repository_ctx.path(real.strip()))

def _run(repository_ctx, what, command, error, python):
    """Runs a command; returns its output, or fails with `error`."""
    return execute_checked(
        repository_ctx,
        what,
        command,
        lambda done: error.format(output = indented(done.stdout + done.stderr), python = python),
        _TIMEOUT,
    )

def indented(output):
    """The output of a program, as it stands in an error text.

    Args:
      output: the output

    Returns:
      the lines, each with a margin
    """
    return "\n".join(["       | " + line for line in output.strip().splitlines()])

python_repository = repository_rule(
    implementation = python_repository_impl,
    attrs = {
        "base": attr.label(doc = "The Python that creates the virtual environment (default: python3 on PATH)."),
        "requirements": attr.label(
            default = Label("//bzl/private/python:requirements.txt"),
            doc = "The packages to install, with versions and hashes.",
        ),
        "settings": attr.string(mandatory = True, doc = "The content of settings.json."),
    },
    configure = True,
    doc = "A Python with the copier's dependencies, and `copier`, which runs the copier with it.",
    **tracked_variables(HOST_VARIABLE, PYTHON_VARIABLE)
)
