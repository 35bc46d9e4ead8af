"""The other examples: each is built remotely, and every store path that it names was copied.

As they are, but for where packages come from: the lab cannot download nixpkgs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Iterator

import pytest

from lab import bazel, images, nix
from lab import lab as laboratory
from lab.bazel import Workspace
from lab.host import Host
from lab.lab import Lab
from tests.bazel import store_paths
from tests.bazel.test_cc_example import NIXPKGS

pytestmark = [pytest.mark.timeout(240), pytest.mark.thorough]

_FLAKE = f"""\
{{
  outputs = {{ self }}: {{
    packages.x86_64-linux = import {nix.PACKAGE_SET} {{ }};
  }};
}}
"""


@dataclass(frozen=True)
class Example:
    workspace: Workspace
    output: str


def _python(host: Host) -> Example:
    workspace = bazel.new_workspace(host, images.REPOSITORY / "examples" / "python")
    rc = bazel.toolchain_modules("python")
    workspace.write({"nixpkgs.nix": NIXPKGS, "user.bazelrc": rc})
    return Example(workspace, "greeted")


def _flake(host: Host) -> Example:
    workspace = bazel.new_workspace(host, images.REPOSITORY / "examples" / "flake")
    # A flake without inputs; it is impure to look at the lab's package set.
    rules = host.read(f"{workspace.folder}/flake_packages.bzl")
    workspace.write(
        {
            "flake.lock": '{ "nodes": { "root": { } }, "root": "root", "version": 7 }',
            "flake.nix": _FLAKE,
            "flake_packages.bzl": rules.replace("nixopts = [", 'nixopts = ["--impure", '),
        }
    )
    return Example(workspace, "greeting")


@pytest.fixture(scope="module", params=[_python, _flake], ids=["python", "flake"])
def example(request: pytest.FixtureRequest, workstation: Host) -> Iterator[Example]:
    example: Example = request.param(workstation)
    yield example
    example.workspace.shut_down()


def test_it_runs_on_the_executor_with_nothing_but_what_was_copied(
    example: Example, lab: Lab
) -> None:
    nix.empty_store(lab.server)
    workspace = example.workspace
    words = ["build", "--config=remote", "--noremote_accept_cached", f"//:{example.output}"]
    built = workspace.bazel(*words, env={"BAZEL_NIX_REMOTE": laboratory.ALIAS}).check()
    assert "1 remote" in built.stderr

    text = workspace.host.read(f"{workspace.folder}/bazel-bin/{example.output}.txt")
    if example.output == "greeted":
        interpreter = json.loads(text)["interpreter"]
        assert interpreter.startswith(nix.build(lab.workstation, ["python3"])["python3"])
    else:
        assert text == "Hello, world!\n"

    named = store_paths.named_by_actions(workspace, "--config=remote", host=laboratory.ALIAS)
    named |= store_paths.named_by_files(workspace)
    assert named
    assert named - store_paths.copied(workspace, lab.server) == set()
