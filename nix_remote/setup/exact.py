"""A program in front of buildbox's runner, with which actions see every path that was valid before.

An NFS client that opens a folder asks the server whether it has changed, however long it may
otherwise remember that a name is absent. Belongs here: the program, for the one runner that it
starts. Pure.
"""

from __future__ import annotations

from typing import Final

from nix_remote.setup import inputs, nfs
from nix_remote.setup.bundle import File

PATH: Final = "/usr/local/bin/buildbox-run-nix-store"

_PROGRAM: Final = """\
#!/bin/sh
# For buildbox: buildbox-worker --buildbox-run={path} ...
# Opens the store's folder before each action, so that the NFS client asks the server whether names
# were added: the action sees every path that became valid before, without a settle time. Looking at
# the folder without opening it is not enough. If the store cannot be opened, no action is run.
: <{store} || exit
exec {runner} "$@"
"""


def program(runner: str) -> File:
    """The program that starts `runner`, an absolute path. Raises `SetupInputUnusable`."""
    text = _PROGRAM.format(
        path=PATH, store=nfs.STORE, runner=inputs.absolute_file(runner, "--exact")
    )
    return File(PATH, text, 0o755)
