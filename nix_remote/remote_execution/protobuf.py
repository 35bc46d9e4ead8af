"""The wire format of protocol buffers, for messages that are frozen dataclasses.

A field is `name: Annotated[TYPE, NUMBER] = DEFAULT`, and fields are in the order of their
numbers. TYPE is `str`, `bytes`, `int` (int32, int64, enums), `bool`, another message, or a
tuple of one of these. As in proto3, fields with their default are omitted, so an absent message
equals one with all defaults. Unknown fields are skipped.

The package protobuf is large, and its versions conflict with each other; this module has the part
that is needed. `tests/integration/test_remote_execution.py` compares the two.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Iterator, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

Content = Union[int, bytes]
"""The content of a field: a non-negative number, or bytes."""

_VARINT: Final = 0
_FIXED64: Final = 1
_DELIMITED: Final = 2
_FIXED32: Final = 5
_SIZES: Final = {_FIXED64: 8, _FIXED32: 4}

_NUMBERS: Final = (int, bool)
_MAX_VARINT_BYTES: Final = 10


class ProtobufError(Exception):
    """The bytes are not a valid message."""


@dataclass(frozen=True)
class _Field:
    name: str
    number: int
    kind: Any
    """`str`, `bytes`, `int`, `bool` or a message; for a repeated field, the type of its items."""
    repeated: bool


def encode(message: object) -> bytes:
    """The bytes of a message; the same for equal messages."""
    out = bytearray()
    for field in _fields(type(message)):
        value = getattr(message, field.name)
        if not field.repeated:
            content = _content(value)
            out += _encode_field(field.number, content) if content else b""
        elif field.kind in _NUMBERS:
            packed = b"".join(map(_varint, value))
            out += _encode_field(field.number, packed) if packed else b""
        else:
            out += b"".join(_encode_field(field.number, _content(each)) for each in value)
    return bytes(out)


def decode(kind: type[T], data: bytes) -> T:
    """The message of that kind. Raises `ProtobufError`."""
    seen: dict[int, list[Content]] = {}
    for number, content in _contents(data):
        seen.setdefault(number, []).append(content)
    values = {
        field.name: _value(field, seen[field.number])
        for field in _fields(kind)
        if field.number in seen
    }
    return kind(**values)


def _fields(kind: type) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for each in fields(kind):
        of, number = get_args(hints[each.name])
        repeated = get_origin(of) is tuple
        found.append(_Field(each.name, number, get_args(of)[0] if repeated else of, repeated))
    return tuple(found)


def _content(value: Any) -> Content:
    if isinstance(value, (int, bytes)):
        return value
    return value.encode() if isinstance(value, str) else encode(value)


def _encode_field(number: int, content: Content) -> bytes:
    if isinstance(content, int):
        return _varint(number << 3 | _VARINT) + _varint(content)
    return _varint(number << 3 | _DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    rest = value % 2**64  # two's complement of negative numbers
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def _contents(data: bytes) -> Iterator[tuple[int, Content]]:
    """Number and content of each field."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, at = _read_varint(data, at)
            yield number, value
            continue
        if wire_type == _DELIMITED:
            size, at = _read_varint(data, at)
        elif wire_type in _SIZES:
            size = _SIZES[wire_type]
        else:
            raise ProtobufError(f"wire type {wire_type}")
        if at + size > len(data):
            raise ProtobufError("it ends in the middle of a field")
        yield number, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and the position after it."""
    value = 0
    for count, byte in enumerate(data[at : at + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value % 2**64, at + count + 1
    raise ProtobufError("a number that does not end")


def _value(field: _Field, contents: list[Content]) -> Any:
    if field.kind in _NUMBERS:
        numbers = [field.kind(number) for content in contents for number in _numbers(content)]
        if field.repeated:
            return tuple(numbers)
        if not numbers:
            raise ProtobufError(f"{field.name} is not a number")
        return numbers[-1]
    texts = [content for content in contents if isinstance(content, bytes)]
    if len(texts) < len(contents):
        raise ProtobufError(f"{field.name} is a number")
    if field.repeated:
        return tuple(_from_bytes(field, text) for text in texts)
    # A message may be split over several fields; of other values, the last one applies.
    return _from_bytes(field, b"".join(texts) if is_dataclass(field.kind) else texts[-1])


def _numbers(content: Content) -> Iterator[int]:
    """One number, or several packed numbers."""
    if isinstance(content, int):
        yield _signed(content)
        return
    at = 0
    while at < len(content):
        value, at = _read_varint(content, at)
        yield _signed(value)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _from_bytes(field: _Field, content: bytes) -> Any:
    if field.kind is bytes:
        return content
    if field.kind is str:
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise ProtobufError(f"{field.name} is not UTF-8") from None
    return decode(field.kind, content)
