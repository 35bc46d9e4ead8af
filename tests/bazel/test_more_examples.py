"""The other examples: each is built remotely, and every store path that it names was copied.

Only the source of packages is replaced: the lab cannot download nixpkgs.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator

import pytest

from lab import bazel, nix
from lab.bazel import Workspace
from lab.host import Host
from lab.lab import ALIAS, Lab
from tests.bazel import examples, store_paths

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


@contextmanager
def _python(host: Host) -> Iterator[Example]:
    rc = bazel.toolchain_modules("python")
    files = {"user.bazelrc": rc, **examples.TOOLCHAIN_PACKAGE_SET}
    with examples.workspace(host, "python", files) as workspace:
        yield Example(workspace, "greeted")


@contextmanager
def _flake(host: Host) -> Iterator[Example]:
    # A flake without inputs; it is impure to look at the lab's package set.
    rules = (examples.FOLDER / "flake" / "flake_packages.bzl").read_text()
    files = {
        "flake.lock": '{ "nodes": { "root": { } }, "root": "root", "version": 7 }',
        "flake.nix": _FLAKE,
        "flake_packages.bzl": rules.replace("nixopts = [", 'nixopts = ["--impure", '),
    }
    with examples.workspace(host, "flake", files) as workspace:
        yield Example(workspace, "greeting")


@pytest.fixture(scope="module", params=[_python, _flake], ids=["python", "flake"])
def example(request: pytest.FixtureRequest, workstation: Host) -> Iterator[Example]:
    with request.param(workstation) as example:
        yield example


def test_it_runs_on_the_executor_with_nothing_but_what_was_copied(
    example: Example, lab: Lab
) -> None:
    nix.empty_store(lab.server)
    workspace = example.workspace
    built = examples.remotely(workspace, "build", f"//:{example.output}").check()
    assert "1 remote" in built.stderr

    text = workspace.host.read(f"{workspace.folder}/bazel-bin/{example.output}.txt")
    if example.output == "greeted":
        interpreter = json.loads(text)["interpreter"]
        assert interpreter.startswith(nix.build(lab.workstation, ["python3"])["python3"])
    else:
        assert text == "Hello, world!\n"

    assert store_paths.assert_all_copied(workspace, lab.server, host=ALIAS)
