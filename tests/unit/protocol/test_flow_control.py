"""The bound on what is unanswered, held against the rule that keeps a one-threaded proxy moving."""

from collections import deque
from typing import Deque, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol.flow_control import MOST_BYTES, MOST_REPLIES, SHORT_REPLY, FlowControl

_SIZES = st.sampled_from([16, 96, 500, MOST_BYTES - 1, MOST_BYTES, 10 * MOST_BYTES])
_REPLY_SIZES = st.sampled_from([0, 16, SHORT_REPLY, SHORT_REPLY + 1, None])
# None: the oldest request is answered.
_STEPS = st.lists(
    st.one_of(st.none(), st.tuples(_SIZES, _REPLY_SIZES), st.just((96, 16))), max_size=400
)

Unanswered = Deque[tuple[int, Optional[int]]]


def both_ways_may_block(unanswered: Unanswered) -> bool:
    """Whether the daemon may wait to write some reply while the proxy waits to write requests."""
    behind = sum(size for size, _ in unanswered)
    for number, (size, reply_size) in enumerate(unanswered, 1):
        behind -= size
        fits = number < MOST_REPLIES and reply_size is not None and reply_size <= SHORT_REPLY
        if not fits:
            return behind > MOST_BYTES
    return False


@given(_STEPS)
def test_what_is_admitted_never_blocks_both_ways(
    steps: list[Optional[tuple[int, Optional[int]]]],
) -> None:
    flow_control = FlowControl()
    unanswered: Unanswered = deque()
    for step in steps:
        if step is None:
            if unanswered:
                unanswered.popleft()
                flow_control.answered()
        elif flow_control.admits(step[0]):
            flow_control.sent(*step)
            unanswered.append(step)
        else:
            # Nothing is held back without need, or a copy would become slower.
            assert both_ways_may_block(deque([*unanswered, step]))
        assert not both_ways_may_block(unanswered)


@pytest.mark.parametrize("reply_size", [16, None])
def test_a_request_of_any_size_may_go_when_nothing_is_unanswered(reply_size: Optional[int]) -> None:
    flow_control = FlowControl()
    for _ in range(3):
        assert flow_control.admits(1000 * MOST_BYTES)
        flow_control.sent(1000 * MOST_BYTES, reply_size)
        flow_control.answered()


def test_a_large_request_may_follow_short_replies_but_not_a_long_one() -> None:
    flow_control = FlowControl()
    flow_control.sent(96, 16)
    assert flow_control.admits(10 * MOST_BYTES)
    flow_control.sent(96, None)
    assert not flow_control.admits(10 * MOST_BYTES)
    assert flow_control.admits(MOST_BYTES)
