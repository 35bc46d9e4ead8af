from __future__ import annotations

from nix_remote import events
from nix_remote.server.wait_notices import FIRST, WaitNotices


def test_a_person_is_told_more_and_more_rarely() -> None:
    told: list[events.Event] = []
    notices = WaitNotices(told.append, "the server")
    for second in range(100):
        notices.after(second)
    waits = [event.seconds for event in told if isinstance(event, events.Waiting)]
    assert waits == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
