"""Quotes a value for each kind of generated file. Pure.

Does not belong here: checking which values are allowed (`inputs.py`).
"""

from __future__ import annotations

import re
from typing import Final

_PLAIN_FLAG: Final = re.compile(r"[A-Za-z0-9_./:=@%+,~-]+")
_YAML_ESCAPED: Final = re.compile(r"[^ !#-\[\]-~]")


def yaml(text: str) -> str:
    """A YAML string in double quotes: unquoted, `123` and `true` are not strings."""
    return f'"{_YAML_ESCAPED.sub(_yaml_escape, text)}"'


def _yaml_escape(found: re.Match[str]) -> str:
    return f"\\U{ord(found[0]):08X}" if found[0] not in '"\\' else f"\\{found[0]}"


def bazelrc(flag: str) -> str:
    """A flag in a bazelrc, where a space ends an unquoted word, and `#` begins a comment."""
    if _PLAIN_FLAG.fullmatch(flag):
        return flag
    return '"' + flag.replace("\\", "\\\\").replace('"', '\\"') + '"'


def systemd(text: str) -> str:
    """Text within double quotes in a systemd unit; returns it without the quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def nix(text: str) -> str:
    """A Nix string or attribute name in double quotes."""
    for character in ("\\", '"', "${"):
        text = text.replace(character, f"\\{character}")
    return f'"{text}"'
