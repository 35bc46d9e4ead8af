import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol import serve
from nix_remote.protocol.versions import UnsupportedVersion
from nix_remote.wire.codec import Feed, WireError, decode, encode_number, encode_text, encode_texts
from nix_remote.wire.types import PathInfo, format_nar_hash
from tests.support.strategies import path_infos, pieces


def test_the_greeting_is_magic_and_version() -> None:
    assert serve.greeting() == encode_number(0x390C9DEB) + encode_number(0x207)


def test_the_version_spoken_is_the_lower_one() -> None:
    for theirs, spoken in ((0x208, (2, 7)), (0x205, (2, 5))):
        answer = encode_number(0x5452EECB) + encode_number(theirs)
        assert decode(serve.read_greeting(), answer) == spoken


def test_servers_that_are_too_old_and_rubbish_are_refused() -> None:
    with pytest.raises(UnsupportedVersion):
        decode(serve.read_greeting(), encode_number(0x5452EECB) + encode_number(0x204))
    with pytest.raises(WireError, match="not the serve protocol"):
        decode(serve.read_greeting(), b"Last login: Sunday")


def encoded(info: PathInfo) -> bytes:
    return b"".join(
        (
            encode_text(info.path),
            encode_text(info.deriver or ""),
            encode_texts(info.references),
            encode_number(info.nar_size),
            encode_number(info.nar_size),
            encode_text(format_nar_hash(info.nar_hash)),
            encode_text(info.content_address),
            encode_texts(info.signatures),
        )
    )


@given(st.lists(path_infos, max_size=3), st.data())
def test_path_infos_survive_however_they_are_cut(
    infos: list[PathInfo], data: st.DataObject
) -> None:
    feed = Feed(serve.read_path_infos())
    for piece in data.draw(pieces(b"".join(map(encoded, infos)) + encode_text(""))):
        feed.push(piece)
    assert feed.result == infos


@given(st.binary(max_size=500))
def test_any_bytes_give_infos_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        Feed(serve.read_path_infos()).push(data)
