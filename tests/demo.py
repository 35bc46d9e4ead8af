"""A demonstration of the main job on real hosts. `tools/demo` runs it.

Every step checks what it says: the demo fails if that is not true.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from lab import bazel, images, nix, prerequisites
from lab.commands import LabError, Outcome
from lab.host import Host
from lab.lab import ALIAS, Lab

_EXAMPLES = images.REPOSITORY / "examples"
_STAND_IN = images.REPOSITORY / "tests" / "bazel" / "rules_nixpkgs_stand_in"
_BUILD = ("build", "--config=remote", "//:greeting")
_ROOTS = "/home/copier/.local/state/nix-remote/gcroots"


class StoryBroken(Exception):
    """A step did not have the result that the demo states."""


class Story:
    """Numbers the steps, and shows commands and the lines of output that matter."""

    def __init__(self) -> None:
        self._number = 0
        self._begun = time.monotonic()

    def step(self, text: str) -> None:
        self._number += 1
        seconds = time.monotonic() - self._begun
        print(f"\n{self._number}. {text}  [{seconds:.0f} s]", flush=True)

    def tell(self, text: str) -> None:
        for line in text.splitlines():
            print(f"   {line}", flush=True)

    def command(self, words: str) -> None:
        self.tell(f"$ {words}")

    def lines(self, text: str, pattern: str) -> list[str]:
        """Shows the lines that match; there must be some."""
        found = [line.strip() for line in text.splitlines() if re.search(pattern, line)]
        if not found:
            raise StoryBroken(f"no line like {pattern!r} in:\n{text[-4000:]}")
        self.tell("\n".join(found))
        return found


def expect(condition: object, what: str) -> None:
    if not condition:
        raise StoryBroken(what)


def show(story: Story, example: bazel.Workspace, host: str, folder: str) -> Outcome:
    variable = f"BAZEL_NIX_REMOTE={host} " if host else ""
    story.command(f"cd {folder} && {variable}bazel {' '.join(_BUILD)}")
    return example.bazel(*_BUILD, env={"BAZEL_NIX_REMOTE": host} if host else {})


def actions_run(executor: Host) -> int:
    """How many actions an executor has run so far, by its worker's own log."""
    return executor.log("worker").count("Runner exited with code")


def new_example(lab: Lab, folder: str) -> bazel.Workspace:
    """The example as it is in this repository, with the lab's package set for nixpkgs."""
    workspace = bazel.new_workspace(lab.workstation, _EXAMPLES / folder, bazel.Defaults.SEVEN)
    workspace.write({"nixpkgs.nix": f"import {nix.PACKAGE_SET}\n"})
    return workspace


def tell(lab: Lab, story: Story) -> None:
    """The story. Raises `StoryBroken`, `LabError`."""
    server, executor = lab.server, lab.executor
    hello = nix.build(lab.workstation, ["hello"])["hello"]
    story.tell(
        f"workstation: Bazel and {lab.workstation.sh('nix --version').strip()}\n"
        f"nix-server:  its own store, with {len(server.sh('ls /nix/store').split())} paths\n"
        "executor:    no program outside /nix/store, which is the Nix server's, read-only\n"
        "service:     BuildGrid"
    )

    for folder in ("hello_bzlmod", "hello_workspace"):
        example = new_example(lab, folder)

        story.step(f"examples/{folder}: a remote build without the variable fails on the executor")
        failed = show(story, example, "", folder)
        runs = actions_run(executor)
        expect(failed.status != 0, "the build passed although the executor has no store path")
        story.lines(failed.text, r"/nix/store/\S+: No such file")

        story.step(f"The same build with BAZEL_NIX_REMOTE={ALIAS}, an entry of ~/.ssh/config")
        passed = show(story, example, ALIAS, folder).check()
        story.lines(passed.text, r"nix-remote: |\d+ processes: .*\d+ remote")
        greeting = lab.workstation.read(f"{example.folder}/bazel-bin/greeting.txt").strip()
        story.tell(f"bazel-bin/greeting.txt: {greeting}")
        expect(actions_run(executor) == runs + 1, "the executor did not run the action")
        story.tell("It ran on the executor: its worker's log has one more action.")

        story.step(
            "What the server has now: the whole closure, with the content that was built here"
        )
        closure = nix.closure(lab.workstation, hello)
        for path in closure:
            here, there = nix.registration(lab.workstation, path), nix.registration(server, path)
            expect(here == there, f"{path}: {here} here, {there} there")
            story.tell(f"{there.path}  {there.nar_hash}")
        nix.verify(server, closure)

        story.step("A second build from nothing (bazel clean --expunge) sends nothing")
        logins = lab.ssh_server.logins()
        example.bazel("clean", "--expunge").check()
        again = show(story, example, ALIAS, folder).check()
        expect("sending" not in again.text, f"something was sent again:\n{again.text}")
        expect(lab.ssh_server.logins() > logins, "the copier did not ask the server")
        more = lab.ssh_server.logins() - logins
        story.tell(f"Logins to look at what is there: {more}. Not a byte of content was sent.")

        story.step("Garbage collection on the server keeps the closure while its root exists ...")
        story.command("nix-store --gc   # on nix-server")
        nix.collect_garbage(server)
        expect(all(nix.is_valid(server, path) for path in closure), "a path of it was collected")
        story.tell(server.sh(f"cd {_ROOTS} && find * -type l"))

        story.step("... and takes it once the roots are gone")
        server.sh(f"rm -r {_ROOTS}")
        deleted = nix.collect_garbage(server)
        expect(set(closure) <= set(deleted), "a path of it was kept by something else")
        story.tell(f"{len(deleted)} paths deleted")

        story.step("With the variable unset it is plain rules_nixpkgs, and builds locally as ever")
        story.command(f"cd {folder} && bazel build //:greeting")
        logins = lab.ssh_server.logins()
        example.bazel("build", "//:greeting").check()
        expect(lab.ssh_server.logins() == logins, "a client logged in to the server")
        example.shut_down()


def how_to_play(lab: Lab) -> str:
    """What to do with a lab that was kept."""
    example = new_example(lab, "hello_bzlmod")
    return f"""
The lab is up. On the workstation, the example is in {example.folder}:

  ./tools/lab --name {lab.folder.name} run workstation bash
    cd {example.folder}
    BAZEL_NIX_REMOTE={ALIAS} bazel build --config=remote //:greeting
    nix-remote copy -v --host {ALIAS} $(nix-build {nix.PACKAGE_SET} -A greeting --no-out-link)
  ./tools/lab --name {lab.folder.name} run nix-server nix-store --gc
  ./tools/lab --name {lab.folder.name} run executor ls /nix/store
  ./tools/demo --down
"""


def main() -> int:
    """Runs the demo; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="tools/demo",
        description="Shows what nix_remote does, on real hosts that it makes on this machine.",
    )
    parser.add_argument("--keep", action="store_true", help="keep the hosts running")
    parser.add_argument("--down", action="store_true", help="remove hosts that --keep left")
    parser.add_argument(
        "--rules-nixpkgs",
        type=Path,
        default=_STAND_IN,
        metavar="DIR",
        help="a checkout of rules_nixpkgs (default: a small stand-in)",
    )
    parser.add_argument("--name", default="demo", help="the name of the lab (default: %(default)s)")
    options = parser.parse_args()
    story = Story()
    lab = Lab(options.name, story.tell)
    if options.down:
        lab.down()
        return 0
    try:
        prerequisites.ensure()
        story.step("Four hosts on this machine, in network namespaces without a way out")
        lab.up()
        bazel.prepare(lab.workstation, lab.service, options.rules_nixpkgs.resolve())
        tell(lab, story)
        if options.keep:
            print(how_to_play(lab))
    except (LabError, StoryBroken) as error:
        print(f"\nThe story is broken: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            lab.down()
    if not options.keep:
        print("\nAll as told; nothing is left running. `./tools/demo --keep` leaves the hosts up.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
