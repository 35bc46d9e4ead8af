"""How one word of text is written in each kind of file, so that it is read as that text.

What a value may be is `inputs.py`'s; that it means the same in the file is this module's. Pure.
"""

from __future__ import annotations

import re
from typing import Final

_PLAIN_FLAG: Final = re.compile(r"[A-Za-z0-9_./:=@%+,~-]+")
_YAML_ESCAPED: Final = re.compile(r"[^ !#-\[\]-~]")


def yaml(text: str) -> str:
    """A string in YAML, in double quotes: `123` and `true` unquoted would be no strings."""
    return f'"{_YAML_ESCAPED.sub(_yaml_escape, text)}"'


def _yaml_escape(found: re.Match[str]) -> str:
    return f"\\U{ord(found[0]):08X}" if found[0] not in '"\\' else f"\\{found[0]}"


def bazelrc(flag: str) -> str:
    """A flag in a bazelrc, which ends an unquoted word at a blank and a line at a `#`."""
    if _PLAIN_FLAG.fullmatch(flag):
        return flag
    return '"' + flag.replace("\\", "\\\\").replace('"', '\\"') + '"'


def systemd(text: str) -> str:
    """Text between double quotes in a unit of systemd, without the quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def nix(text: str) -> str:
    """A Nix string, or an attribute's name, in double quotes."""
    for character in ("\\", '"', "${"):
        text = text.replace(character, f"\\{character}")
    return f'"{text}"'
