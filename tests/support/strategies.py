"""Hypothesis strategies for the values of the protocols."""

from __future__ import annotations

from hypothesis import strategies as st

from nix_remote.store.base32 import ALPHABET
from nix_remote.store.paths import NarHash, PathInfo, StorePath, parse_store_path

_NAME = st.text("abcXYZ019+-._?=", min_size=1, max_size=20)
_DIGEST = st.text(ALPHABET, min_size=32, max_size=32)

store_paths: st.SearchStrategy[StorePath] = st.builds(
    lambda digest, name: parse_store_path(f"/nix/store/{digest}-{name}"), _DIGEST, _NAME
)

path_infos: st.SearchStrategy[PathInfo] = st.builds(
    PathInfo,
    path=store_paths,
    nar_hash=st.binary(min_size=32, max_size=32).map(NarHash),
    nar_size=st.integers(1, 2**63 - 1),
    references=st.lists(store_paths, max_size=5, unique=True).map(lambda p: tuple(sorted(p))),
    deriver=st.none() | store_paths,
    signatures=st.lists(
        st.from_regex(r"[a-z]{1,8}:[A-Za-z0-9]{8}==", fullmatch=True), max_size=2
    ).map(tuple),
    content_address=st.sampled_from(["", "fixed:r:sha256:" + "0" * 52]),
)


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """`data`, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    bounds = [0, *cuts, len(data)]
    return [data[start:end] for start, end in zip(bounds, bounds[1:])]
