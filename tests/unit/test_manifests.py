"""Manifests: what is written is read, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote import manifests
from nix_remote.manifests import Manifest, NotAManifest
from tests.support.paths import path

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
MANIFEST = Manifest(
    host="nix-server",
    workspace="/home/me/app",
    package="hello",
    time=1_700_000_000,
    roots=[path("hello")],
    paths=[path("glibc"), path("hello")],
)
CONTENT = manifests.as_text(MANIFEST, KEY).encode()


def authentic(fields: object) -> bytes:
    """A file whose code is right, whatever it says."""
    rest = json.dumps(fields, indent=1).removeprefix("{\n") + "\n"
    return f'{{"mac": "{manifests._code(KEY, rest.encode())}",\n{rest}'.encode()


def test_what_is_written_is_read_and_is_json() -> None:
    assert manifests.parse(CONTENT, [OTHER_KEY, KEY]) == MANIFEST
    assert json.loads(CONTENT)["roots"] == [path("hello")]


def test_names_that_are_not_utf_8_survive() -> None:
    odd = Manifest("s", "/home/\udcff", "é", 1, [path("hello")], [])
    assert manifests.parse(manifests.as_text(odd, KEY).encode(), [KEY]) == odd


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        CONTENT[:-20],
        CONTENT + b" ",
        CONTENT.replace(b"nix-server", b"elsewhere"),
        CONTENT.replace(b'"mac": "', b'"mac": "0', 1),
        manifests.as_text(MANIFEST, None).encode(),
        manifests.as_text(MANIFEST, OTHER_KEY).encode(),
        b'{"version":' + b"[" * 100_000,
        b'{"mac": "' + b"0" * 64 + b'",\n' + b"[" * 100_000,
    ],
    ids=range(11),
)
def test_what_no_fetch_of_this_user_wrote_is_refused(content: bytes) -> None:
    with pytest.raises(NotAManifest, match="no fetch of this user"):
        manifests.parse(content, [KEY])


def test_without_a_key_nothing_is_accepted() -> None:
    with pytest.raises(NotAManifest):
        manifests.parse(CONTENT, [])


@given(st.data())
def test_any_change_of_a_byte_is_noticed(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(CONTENT) - 1))
    changed = bytearray(CONTENT)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NotAManifest):
        manifests.parse(bytes(changed), [KEY])


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 1},
        {"version": 3},
        {"other": 1},
        {"version": 2, "host": "x"},
        {**json.loads(CONTENT), "roots": ["/etc/passwd"]},
        {**json.loads(CONTENT), "roots": [1]},
        {**json.loads(CONTENT), "roots": 5},
    ],
)
def test_another_version_or_another_form_is_refused_with_a_reason(fields: object) -> None:
    with pytest.raises(NotAManifest, match=r"version|Error"):
        manifests.parse(authentic(fields), [KEY])
