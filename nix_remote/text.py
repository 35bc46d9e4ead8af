"""Untrusted text and numbers: made safe to print, and parsed strictly. Pure.

Text of a server, an executor, another program or a repository is untrusted. It can contain escape
sequences that a terminal executes, and line breaks that forge messages. On input, it becomes a
`PeerText`, all forms of which are safe to print. Untrusted numbers are parsed only by `decimal`
and `decimal_fraction`.
"""

from __future__ import annotations

import re
from typing import Final, Optional, Union, final

LONGEST: Final = 4000
"""Characters of a text that are shown by default."""
LONGEST_LINE: Final = 300

_ESCAPE_SEQUENCES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC: titles, links
    r"|\x1b."
)
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and line feed, DEL, C1
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"  # bidirectional controls, and what has no width
)
_SEPARATORS: Final = re.compile("[\u2028\u2029]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_BLANKS: Final = re.compile(r"\s+")

_DECIMAL: Final = re.compile(r"[0-9]{1,20}")
_DECIMAL_FRACTION: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
_LARGEST: Final = 2**63 - 1


def printable(text: str) -> str:
    """The text without characters that control a terminal.

    Removes escape sequences, control characters, bidirectional controls and zero-width
    characters; keeps line feeds and tabs. Surrogates, which stand for bytes that are not UTF-8,
    become U+FFFD.
    """
    text = _CONTROLS.sub("", _ESCAPE_SEQUENCES.sub("", text))
    return _SURROGATES.sub("\ufffd", _SEPARATORS.sub(" ", text))


def shortened(text: str, limit: int = LONGEST) -> str:
    """The text, or the beginning and the end of it if it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    end = limit // 4
    return f"{text[: limit - end]} […] {text[-end:]}"


@final
class PeerText:
    """Untrusted text in printable form. Immutable; the original is not kept.

    It is formatted on one line, so `f"{text}"` cannot forge a line.
    """

    __slots__ = ("_plain",)
    _plain: str

    def __init__(self, raw: Union[str, bytes]) -> None:
        """Bytes are decoded as UTF-8."""
        if isinstance(raw, bytes):
            raw = raw.decode(errors="replace")
        object.__setattr__(self, "_plain", printable(raw))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} of a PeerText cannot be set")

    @property
    def plain(self) -> str:
        """The whole text, which may have many lines: for pattern matching."""
        return self._plain

    def shown(self, limit: int = LONGEST) -> str:
        """The text without surrounding space, shortened in the middle to about `limit`."""
        return shortened(self._plain.strip(), limit)

    def line(self, limit: int = LONGEST_LINE) -> str:
        """Like `shown`, on one line."""
        return shortened(_BLANKS.sub(" ", self._plain).strip(), limit)

    def __str__(self) -> str:
        return self.line()

    def __format__(self, specification: str) -> str:
        return format(self.line(), specification)

    def __repr__(self) -> str:
        return repr(self.line())

    def __bool__(self) -> bool:
        return bool(self._plain)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PeerText) and self._plain == other._plain

    def __hash__(self) -> int:
        return hash(self._plain)


def decimal(text: str, at_most: int = _LARGEST) -> Optional[int]:
    """Parses a decimal number; None if `text` is not ASCII digits, or is above `at_most`.

    It accepts no sign, spaces, underscores or digits of other scripts, and at most 20 digits.
    """
    if not _DECIMAL.fullmatch(text):
        return None
    value = int(text)
    return value if value <= at_most else None


def decimal_fraction(text: str) -> Optional[float]:
    """Parses ASCII digits with at most one decimal point between them; else None."""
    return float(text) if _DECIMAL_FRACTION.fullmatch(text) else None
