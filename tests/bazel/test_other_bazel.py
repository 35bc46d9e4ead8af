"""`--bazel`: another Bazel, with a registry that is generated from a folder of modules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from lab import bazel, images, other_bazel
from lab.bazel import Workspace
from lab.lab import Lab
from lab.other_bazel import OtherBazel
from tests.bazel import examples

_SKYLIB = '''\
"""A module."""

module(
    name = "bazel_skylib",
    compatibility_level = 1,
    version = "1.9.0",
)
bazel_dep(name = "platforms", version = "0.0.10")
bazel_dep(name = "rules_pkg", version = "1.0.1", dev_dependency = True)
'''

_ROOT = """\
bazel_dep(name = "bazel_skylib", version = "1.0.3")
bazel_dep(name = "platforms", version = "0.0.4")
bazel_dep(name = "overridden")
"""


def test_a_registry_has_every_version_that_is_asked_for() -> None:
    files = other_bazel.registry({"bazel_skylib": ("/modules/skylib", _SKYLIB)}, [_ROOT])
    assert {path for path in files if path.startswith("modules/")} == {
        f"modules/{name}/{file}"
        for name in (
            f"bazel_skylib/{other_bazel.VERSION_OF_TESTS}",
            "bazel_skylib/1.0.3",
            "platforms/0.0.4",
            "platforms/0.0.10",
            "rules_pkg/1.0.1",
        )
        for file in ("MODULE.bazel", "source.json")
    }
    source = json.loads(files["modules/bazel_skylib/1.0.3/source.json"])
    assert source == {"type": "local_path", "path": "/modules/skylib"}
    module = files["modules/bazel_skylib/1.0.3/MODULE.bazel"]
    first = "module(name = 'bazel_skylib', compatibility_level = 1, version = '1.0.3')"
    assert module.splitlines()[0] == first
    assert 'bazel_dep(name = "platforms", version = "0.0.10")' in module
    assert files["modules/platforms/0.0.4/MODULE.bazel"].startswith(
        "module(name = 'platforms', version = '0.0.4')"
    )


# The program itself finds its parts by the rc file of the system alone.
_DEBIAN = (
    '#!/bin/sh\nexec /usr/bin/bazel --install_base=/usr/share/bazel --trust_install_base "$@"\n'
)


@pytest.fixture
def debian(tmp_path: Path) -> OtherBazel:
    """Debian's Bazel, and its modules as a folder."""
    program = tmp_path / "bazel"
    program.write_text(_DEBIAN)
    modules = tmp_path / "modules"
    root = images.lower_directories(images.CURRENT)[0] / "usr/share/bazel"
    for path in [*root.glob("rules/*"), *root.glob("tools/*")]:
        shutil.copytree(path, modules / path.name, ignore_dangling_symlinks=True)
    return OtherBazel(program, modules)


@pytest.fixture
def greeting(debian: OtherBazel, lab: Lab, rules_nixpkgs: Path) -> Iterator[Workspace]:
    host = lab.start_workstation("other-bazel", images.WORKSTATION)
    bazel.prepare(host, lab.service, rules_nixpkgs, debian)
    with examples.workspace(host, "hello_bzlmod") as workspace:
        yield workspace


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_an_example_is_built_by_it(greeting: Workspace) -> None:
    built = examples.remotely(greeting, "build", "//:greeting").check()
    assert "1 remote" in built.stderr
    graph = greeting.bazel("mod", "graph", "--include_builtin").check().stdout
    assert "bazel_skylib@" in graph
    assert "bazel_skylib@_" not in graph, "an override took the place of the registry"
