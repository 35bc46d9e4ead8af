from pathlib import Path

import nix_remote
from nix_remote.agent.thin_client import framing
from tests import version

ROOT = Path(__file__).parents[2]


def test_every_file_has_the_version_of_the_package() -> None:
    found = version.found()
    assert set.union(*found.values()) == {nix_remote.__version__}
    assert nix_remote.__version__ == framing.VERSION
    examples = [file.parent.name for file in ROOT.glob("examples/*/MODULE.bazel")]
    assert set(found) >= {
        "MODULE.bazel",
        "README.md",
        "bzl/private/whole_build.sh",
        "bzl/whole_build.bzl",
        "docs/bazel.md",
        "nix_remote/__init__.py",
        *(f"examples/{name}/MODULE.bazel" for name in examples),
    }
    assert sum(name.startswith("nix_remote/agent/") for name in found) == 1
