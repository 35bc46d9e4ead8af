"""The text of the two files that start the copier.

Pure: nothing here reads or writes a file.
"""

load(":shell.bzl", "quoted")

# The thin client runs first: it imports next to nothing, and starts the full program if needed.
# -I: neither the working directory nor PYTHON* variables decide what is imported.
# The prefix keeps bytecode out of source folders, which may be shared or read-only.
_LAUNCHER = """\
#!/bin/sh
exec {python} -I -S -X pycache_prefix={bytecode} -c {client} {program} "$@"
"""

_CLIENT = "import sys; sys.path.insert(0, {}); import thin_client; sys.exit(thin_client.main())"

_PROGRAM = """\
import sys

sys.path.insert(0, {sources})

from nix_remote.cli.main import main

sys.exit(main())
"""

def launcher_text(python, program, sources, bytecode):
    """A shell script that starts the copier by way of the thin client.

    Args:
      python: the path of the interpreter
      program: the path of the file with `program_text`
      sources: the folder that contains the Python package nix_remote
      bytecode: the folder for bytecode

    Returns:
      a string
    """
    return _LAUNCHER.format(
        bytecode = quoted(bytecode),
        client = quoted(_CLIENT.format(repr("%s/nix_remote/agent" % sources))),
        program = quoted(program),
        python = quoted(python),
    )

def program_text(sources):
    """A Python program that runs the copier without the thin client.

    Args:
      sources: the folder that contains the Python package nix_remote

    Returns:
      a string
    """
    return _PROGRAM.format(sources = repr(str(sources)))
