"""The commands of a guide in `docs/`, unchanged, and the machine that each runs on.

A block of commands names its machine behind the fence's language: ```sh workstation
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Mapping

from lab.images import REPOSITORY

_BLOCK: Final = re.compile(r"^```sh (?P<where>\S+)\n(?P<script>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """Commands for one machine."""

    where: str
    script: str


def blocks(name: str, replacements: Mapping[str, str]) -> list[Block]:
    """The blocks of `docs/NAME`. Every replacement must be needed."""
    text = (REPOSITORY / "docs" / name).read_text()
    for old, new in replacements.items():
        assert old in text, f"{name} does not say {old!r} any more"
        text = text.replace(old, new)
    return [Block(found["where"], found["script"]) for found in _BLOCK.finditer(text)]
