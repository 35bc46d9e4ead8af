import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.wire.codec import WireError, decode
from nix_remote.wire.framed import END, MAX_FRAME, frame_header, read_framed


@given(st.lists(st.binary(min_size=1, max_size=50)))
def test_the_content_does_not_depend_on_the_frames(frames: list[bytes]) -> None:
    stream = b"".join(frame_header(len(frame)) + frame for frame in frames) + END
    assert decode(read_framed(10_000), stream) == b"".join(frames)


def test_a_frame_of_no_bytes_would_end_the_stream_and_is_refused() -> None:
    with pytest.raises(ValueError, match="0 bytes"):
        frame_header(0)
    with pytest.raises(ValueError, match="cannot have"):
        frame_header(MAX_FRAME + 1)


def test_a_stream_above_the_limit_is_refused() -> None:
    with pytest.raises(WireError, match="more than 3 bytes"):
        decode(read_framed(3), frame_header(2) + b"ab" + frame_header(2) + b"cd" + END)
