"""Nix's own base 32: the digits of store paths and of hashes in signatures.

The bytes are one little-endian number; its five-bit digits are written most
significant first. The alphabet has no e, o, u or t.
"""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "0123456789abcdfghijklmnpqrsvwxyz"

_VALUES: Final = {digit: value for value, digit in enumerate(ALPHABET)}


def encoded_length(size: int) -> int:
    """How many digits `size` bytes take: 32 for 20 bytes, 52 for 32 bytes."""
    return -(-size * 8 // 5)


def encode(data: bytes) -> str:
    """Encodes `data`."""
    number = int.from_bytes(data, "little")
    digits = encoded_length(len(data))
    return "".join(ALPHABET[number >> (5 * place) & 31] for place in reversed(range(digits)))


def decode(text: str, size: int) -> bytes:
    """Decodes `text` into `size` bytes; `ValueError` if it does not encode that many."""
    if len(text) != encoded_length(size):
        raise ValueError(f"{len(text)} digits where {size} bytes take {encoded_length(size)}")
    number = 0
    for digit in text:
        value = _VALUES.get(digit)
        if value is None:
            raise ValueError(f"{digit!r} is not a digit of Nix's base 32")
        number = number << 5 | value
    if number >> (8 * size):
        raise ValueError(f"{text!r} encodes more than {size} bytes")
    return number.to_bytes(size, "little")
