import pytest

from nix_remote.copy.retry import RetryPolicy
from nix_remote.errors import (
    ConnectionBroken,
    HostKeyChanged,
    NixRemoteError,
    PathRefused,
    ServerEndedSession,
    TransferStalled,
)

POLICY = RetryPolicy(retries=3, first_delay=0.5)


@pytest.mark.parametrize(
    "error", [ConnectionBroken("s", "copying", "reset"), ServerEndedSession("s", "copying", "")]
)
def test_what_can_heal_is_tried_again_after_growing_delays(error: NixRemoteError) -> None:
    assert [POLICY.delay(error, failures) for failures in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, None]


@pytest.mark.parametrize(
    "error",
    [
        PathRefused("s", "/nix/store/x", "no"),
        TransferStalled("s", "a path", 1),
        HostKeyChanged("s", "s", "a", "b", "f", 1),
    ],
)
def test_what_cannot_heal_is_not_tried_again(error: NixRemoteError) -> None:
    assert POLICY.delay(error, 1) is None
