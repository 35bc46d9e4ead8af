"""Copies bzl/private/whole_build.sh to the two files that need it as a string.

    python -m tests.whole_build

Bazel runs patch commands before it can read a file of nix_remote: the command has to be text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]

SCRIPT: Final = _ROOT / "bzl" / "private" / "whole_build.sh"
COPIES: Final = (
    _ROOT / "bzl" / "whole_build.bzl",
    _ROOT / "examples" / "whole_build" / "MODULE.bazel",
)

# The only raw strings in these files.
_COPY: Final = re.compile(r'(?<=r""")\n.*?(?=""")', re.S)


def generate(file: Path) -> str:
    """The text that one of `COPIES` has to have."""
    text, copies = _COPY.subn(lambda _: "\n" + SCRIPT.read_text(), file.read_text())
    assert copies == 1, f"{file} has {copies} raw strings"
    return text


if __name__ == "__main__":
    for copy in COPIES:
        copy.write_text(generate(copy))
