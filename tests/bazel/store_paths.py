"""The store paths that a build names anywhere, and those that were copied."""

from __future__ import annotations

import re

from lab import nix
from lab.bazel import Workspace
from lab.host import Host

_STORE_PATH = r"/nix/store/[0-9a-z]{32}-[0-9a-zA-Z+._?=-]+"


def named_by_actions(workspace: Workspace, *options: str, host: str) -> set[str]:
    """In the command lines, environments and inputs of the actions of all targets."""
    words = ["aquery", "--include_param_files", *options, "//..."]
    shown = workspace.bazel(*words, env={"BAZEL_NIX_REMOTE": host}).check().stdout
    return set(re.findall(_STORE_PATH, shown))


def named_by_files(workspace: Workspace) -> set[str]:
    """In the files of generated repositories, and in what was built."""
    base = workspace.bazel("info", "output_base").check().stdout.strip()
    # Not through links into the store: paths there reference their own closure.
    script = f"""
      cd {base}
      find external execroot/*/bazel-out -type f -print0 |
        {{ xargs -0 grep -haoE '{_STORE_PATH}' || true; }} | sort -u
    """
    return set(workspace.host.sh(script).split())


def copied(workspace: Workspace, server: Host) -> set[str]:
    """The closures of all packages that were fetched. All of it is on the server."""
    folders = workspace.repositories().values()
    links = " ".join(f"{folder}/bazel-support/nix-out-link*" for folder in folders)
    tops = workspace.host.sh(f"for link in {links}; do readlink $link || true; done").split()
    closure = {path for top in tops for path in nix.closure(workspace.host, top)}
    nix.verify(server, sorted(closure))
    return closure


def assert_all_copied(workspace: Workspace, server: Host, *options: str, host: str) -> set[str]:
    """Checks that each store path that a remote build names was copied; returns these paths."""
    named = named_by_actions(workspace, "--config=remote", *options, host=host)
    named |= named_by_files(workspace)
    assert named - copied(workspace, server) == set()
    return named
