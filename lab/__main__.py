"""`python3 -m lab`: labs by hand. `tools/lab` is the same, from any folder."""

from __future__ import annotations

import argparse
import os
import sys

from lab import buildbarn_programs
from lab.commands import LabError
from lab.go_tools import JSONNET, KUSTOMIZE
from lab.lab import Lab, names


def main() -> int:
    """Runs one subcommand; returns its exit status."""
    parser = argparse.ArgumentParser(prog="tools/lab", description="Manages labs by hand.")
    parser.add_argument("--name", default="hand", help="the name of the lab (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the root trees of all hosts")
    commands.add_parser("programs", help="build further programs that tests need")
    commands.add_parser("up", help="start a new lab")
    commands.add_parser("down", help="stop the lab and delete its files")
    commands.add_parser("list", help="list all labs and their hosts")
    start = commands.add_parser("start", help="start a host that `up` does not start")
    start.add_argument("host")
    run = commands.add_parser("run", help="run a command on a host")
    run.add_argument("host")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args()
    lab = Lab(options.name, lambda text: print(text, file=sys.stderr, flush=True))
    try:
        if options.command == "build":
            lab.build()
        elif options.command == "programs":
            for program in (KUSTOMIZE, JSONNET):
                program.program()
            buildbarn_programs.programs()
        elif options.command == "up":
            lab.up()
        elif options.command == "down":
            lab.down()
        elif options.command == "list":
            _list()
        elif options.command == "start":
            lab.start(options.host)
        else:
            argv = lab.hosts[options.host].enter(options.argv or ["bash"], {})
            os.execvp(argv[0], argv)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _list() -> None:
    for name in names():
        for host in Lab(name).hosts.values():
            state = "up" if host.first_process is not None else "down"
            print(f"{name}\t{host.name}\t{host.address}\t{state}")


if __name__ == "__main__":
    sys.exit(main())
