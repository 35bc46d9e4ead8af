import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.store import base32


def test_known_hashes() -> None:
    # `nix-hash --type sha256 --base32 --flat` of an empty file, and of "abc".
    empty = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
    assert base32.encode(hashlib.sha256(b"").digest()) == empty
    abc = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"
    assert base32.encode(hashlib.sha256(b"abc").digest()) == abc


@given(st.binary(max_size=64))
def test_bytes_survive(data: bytes) -> None:
    assert base32.decode(base32.encode(data), len(data)) == data


@pytest.mark.parametrize("text", ["e" * 32, "z" * 31, "0" * 33, "Z" * 32])
def test_what_is_not_base_32_of_20_bytes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"digit|digits"):
        base32.decode(text, 20)


def test_digits_that_stand_for_too_much_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        base32.decode("z" * 52, 32)
