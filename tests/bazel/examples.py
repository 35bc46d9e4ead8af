"""The repository's examples as workspaces on a host, and remote builds of them.

The lab cannot download nixpkgs: each test puts the lab's package set in its place.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, Iterator, Mapping

from lab import bazel, images, nix
from lab.bazel import Defaults, Workspace
from lab.commands import Outcome
from lab.host import Host
from lab.lab import ALIAS

FOLDER: Final = images.REPOSITORY / "examples"

PACKAGE_SET: Final = MappingProxyType({"nixpkgs.nix": f"import {nix.PACKAGE_SET}\n"})
"""For examples that take only packages."""

# For the Nix expressions of the real rules_nixpkgs as well.
TOOLCHAIN_PACKAGE_SET: Final = MappingProxyType(
    {
        "nixpkgs.nix": f"""\
{{ config ? {{ }}, overlays ? [ ], ... }}:
import {nix.PACKAGE_SET} {{
  overlays = [
    (self: super: {{
      runCommand = super.runCommandInStdenv;
      writers.makeScriptWriter = {{ interpreter }}: name: text:
        self.writeTextFile {{ inherit name; text = "#! ${{interpreter}}\n${{text}}"; }};
    }})
  ];
}}
"""
    }
)
"""For examples that take a toolchain."""


@contextmanager
def workspace(
    host: Host,
    name: str,
    files: Mapping[str, str] = PACKAGE_SET,
    defaults: Defaults = Defaults.NEWER,
) -> Iterator[Workspace]:
    """A copy of an example, with these files in place of its own."""
    copy = bazel.new_workspace(host, FOLDER / name, defaults)
    copy.write(files)
    try:
        yield copy
    finally:
        copy.shut_down()


def remotely(
    workspace: Workspace,
    command: str,
    *words: str,
    host: str = ALIAS,
    env: Mapping[str, str] = MappingProxyType({}),
    timeout: float = 120,
) -> Outcome:
    """Runs a command of Bazel whose actions run on the executors, each of them again."""
    options = ["--config=remote", "--noremote_accept_cached"]
    environment = {"BAZEL_NIX_REMOTE": host, **env}
    return workspace.bazel(command, *options, *words, env=environment, timeout=timeout)
