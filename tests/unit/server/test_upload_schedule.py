from __future__ import annotations

from typing import Optional

from hypothesis import given
from hypothesis import strategies as st

from nix_remote.server.upload_schedule import UploadSchedule
from nix_remote.store.paths import PathInfo
from tests.support.paths import info


def order(*references: str) -> UploadSchedule:
    """Paths a, b, c … with these references, each a word of letters."""
    return UploadSchedule(infos(*references))


def infos(*references: str) -> list[PathInfo]:
    return [info(chr(ord("a") + n), *letters) for n, letters in enumerate(references)]


def taken(of: UploadSchedule, lane: int) -> list[Optional[int]]:
    """All that a session may be given at this moment, and the None behind it."""
    found: list[Optional[int]] = []
    while not found or found[-1] is not None:
        found.append(of.take(lane))
    return found


def test_one_session_gets_everything_in_the_given_order() -> None:
    assert taken(order("", "a", "ab", ""), 0) == [0, 1, 2, 3, None]


def test_another_session_gets_what_refers_to_nothing_that_is_under_way() -> None:
    paths = order("", "a", "", "c")
    assert paths.take(0) == 0
    assert taken(paths, 1) == [2, 3, None]
    assert taken(paths, 0) == [1, None]
    assert paths.all_taken


def test_what_was_sent_through_another_session_counts_once_it_is_registered() -> None:
    paths = order("", "a")
    assert paths.take(0) == 0
    assert paths.take(1) is None
    paths.registered(0)
    assert paths.take(1) == 1


def test_references_through_two_sessions_wait_for_either() -> None:
    paths = order("", "", "ab")
    assert (paths.take(0), paths.take(1)) == (0, 1)
    assert (paths.take(0), paths.take(1)) == (None, None)
    paths.registered(0)
    # The other one is before it in the same session.
    assert paths.take(0) is None
    assert paths.take(1) == 2


def test_what_is_not_to_be_sent_is_not_waited_for() -> None:
    paths = UploadSchedule([info("hello", "glibc", "hello")])
    assert paths.take(0) == 0
    assert paths.all_taken


@given(data=st.data())
def test_every_path_is_sent_once_and_never_before_its_references(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    references = [
        data.draw(st.sets(st.sampled_from(range(n)))) if n else set() for n in range(count)
    ]
    paths = UploadSchedule(
        [info(f"p{n}", *(f"p{r}" for r in refs)) for n, refs in enumerate(references)]
    )
    lanes = data.draw(st.integers(1, 3))
    sent: dict[int, list[int]] = {lane: [] for lane in range(lanes)}
    confirmed: dict[int, int] = dict.fromkeys(range(lanes), 0)
    registered: set[int] = set()
    while len(registered) < count:
        lane = data.draw(st.integers(0, lanes - 1))
        if data.draw(st.booleans()):
            position = paths.take(lane)
            if position is not None:
                assert all(r in registered or r in sent[lane] for r in references[position])
                assert all(position not in through for through in sent.values())
                sent[lane].append(position)
        elif confirmed[lane] < len(sent[lane]):
            registered.add(sent[lane][confirmed[lane]])
            paths.registered(sent[lane][confirmed[lane]])
            confirmed[lane] += 1
        elif not any(confirmed[one] < len(sent[one]) for one in sent):
            # Nothing is under way: then there must be something for everybody.
            position = paths.take(lane)
            assert position is not None
            sent[lane].append(position)
    assert paths.all_taken
