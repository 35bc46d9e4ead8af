"""No order of the steps of a removal, a copy and a collector loses a path that a copy has promised.

A model of one root of one path, and of all that works on it:

* the removal, with the steps of the shell program in `root_scripts`; it can be cut off after
  each, and the next one takes up what it left. It has a guard, which is a root, and the link that
  it has taken, which is none;
* a copy: a temporary root, a wait for the collector that runs, the path, and a durable root as
  Nix makes it (a link, by a rename, then its registration). At last the temporary root is taken
  again, which a collector that runs is told of, and the session ends;
* Nix's collector, one at a time, by its lock: it reads each registration, and deletes one without
  a link in a step of its own; then it reads the temporary roots; then it deletes the path.

All states that can be reached are visited, so every order of steps is.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional

import pytest

LINK, GUARD = "link", "guard"
OLD, NEW = "old", "new"


class Collector(NamedTuple):
    to_read: tuple[str, ...]
    kept: bool = False
    stale: Optional[str] = None
    """A registration that it is about to delete."""
    looked: bool = False
    """Whether it has read the temporary roots."""
    barrier: bool = False
    """It deletes no path."""


class State(NamedTuple):
    valid: bool = True
    promised: bool = False
    link: Optional[str] = OLD
    link_known: bool = True
    guard: Optional[str] = None
    guard_known: bool = False
    taken: Optional[str] = None
    plan: bool = False
    temporary: bool = False
    removal: str = "idle"
    copy: str = "idle"
    collector: Optional[Collector] = None
    copies_left: int = 2
    removals_left: int = 3
    kills_left: int = 2


def collector_steps(state: State) -> Iterator[State]:
    now = state.collector
    if now is None:
        for order in ((LINK, GUARD), (GUARD, LINK)):
            yield state._replace(collector=Collector(order))
    elif now.stale is not None:
        known = {f"{now.stale}_known": False}
        yield state._replace(collector=now._replace(stale=None), **known)  # type: ignore[arg-type]
    elif now.to_read:
        place, *rest = now.to_read
        now = now._replace(to_read=tuple(rest))
        if getattr(state, f"{place}_known"):
            exists = getattr(state, place) is not None
            now = now._replace(kept=now.kept or exists, stale=None if exists else place)
        yield state._replace(collector=now)
    elif not now.looked:
        yield state._replace(collector=now._replace(kept=now.kept or state.temporary, looked=True))
    else:
        gone = not (now.kept or now.barrier)
        yield state._replace(collector=None, valid=state.valid and not gone)


def copy_steps(state: State) -> Iterator[State]:
    at = state.copy
    if at == "idle" and state.copies_left:
        yield state._replace(copy="wait", temporary=True, copies_left=state.copies_left - 1)
    elif at == "wait" and state.collector is None:
        yield state._replace(copy="link", valid=True)
    elif at == "link":
        yield state._replace(copy="register", link=NEW)
    elif at == "register":
        yield state._replace(copy="end", link_known=True)
    elif at == "end":
        told = state.collector and state.collector._replace(kept=True)
        yield state._replace(copy="idle", temporary=False, promised=True, collector=told)


def removal_steps(state: State, left_out: str) -> Iterator[State]:
    at = state.removal
    if at != "idle" and state.kills_left:
        yield state._replace(removal="idle", kills_left=state.kills_left - 1)
    waits = {"guarded": "plan", "taken": "look", "left": "look"}
    waits |= {"anew": "make again", "again": "end"}
    if at == "idle" and state.removals_left:
        state = state._replace(removals_left=state.removals_left - 1)
        yield state._replace(removal="left" if state.plan else "clear")
    elif at in waits:
        if left_out == f"barrier when {at}":
            yield state._replace(removal=waits[at])
        elif state.collector is None:
            for order in ((LINK, GUARD), (GUARD, LINK)):
                barrier = Collector(order, barrier=True)
                yield state._replace(removal=f"{at}...", collector=barrier)
    elif at.endswith("..."):
        if state.collector is None:
            yield state._replace(removal=waits[at[:-3]])
    elif at == "clear":
        # What an earlier one has left of its folder.
        yield state._replace(removal="list", guard=None, taken=None)
    elif at == "list":
        # It may have become old by now; then what was promised before has ended.
        if state.link is not None and state.copy == "idle":
            listed = state._replace(link=OLD, promised=False)
            yield listed._replace(removal="plan" if left_out == "guard" else "guard")
        yield state._replace(removal="idle")
    elif at == "guard":
        if left_out != "new name":
            # Nix knows nothing of its name yet, whatever it knows of earlier ones.
            now = state.collector
            if now is not None and now.stale == GUARD:
                state = state._replace(collector=now._replace(stale=None))
            state = state._replace(guard_known=False)
        yield state._replace(removal="know guard", guard=GUARD)
    elif at == "know guard":
        yield state._replace(removal="guarded", guard_known=True)
    elif at == "plan":
        yield state._replace(removal="take", plan=True)
    elif at == "take":
        yield state._replace(removal="taken", taken=state.link or state.taken, link=None)
    elif at == "look":
        renewed = state.taken is not None and (state.link is not None or state.taken == NEW)
        yield state._replace(removal="make anew" if renewed and left_out != "restore" else "end")
    elif at == "make anew":
        # A copy that has made its link may register it only now: a collector may be about to
        # forget it, so it is made again when that one has ended.
        yield state._replace(removal="know anew", link=NEW)
    elif at == "know anew":
        yield state._replace(removal="again" if left_out == "again" else "anew", link_known=True)
    elif at == "make again":
        yield state._replace(removal="know again", link=NEW)
    elif at == "know again":
        yield state._replace(removal="again", link_known=True)
    elif at == "end":
        yield state._replace(removal="forget", plan=False)
    elif at == "forget":
        # One after the other, in the order that the folder has.
        if state.guard is not None:
            yield state._replace(guard=None)
        if state.taken is not None:
            yield state._replace(taken=None)
        if state.guard is None and state.taken is None:
            yield state._replace(removal="idle")


def lost(left_out: str = "") -> tuple[int, Optional[list[State]]]:
    """How many states there are, and the way to one in which a promised path is not valid."""
    start = State()
    came_from: dict[State, Optional[State]] = {start: None}
    to_visit = [start]
    for state in to_visit:
        if state.promised and not state.valid:
            way: list[State] = []
            at: Optional[State] = state
            while at is not None:
                way.insert(0, at)
                at = came_from[at]
            return len(came_from), way
        for steps in (
            collector_steps(state),
            copy_steps(state),
            removal_steps(state, left_out),
        ):
            for reached in steps:
                if reached not in came_from:
                    came_from[reached] = state
                    to_visit.append(reached)
    return len(came_from), None


def test_no_order_of_steps_loses_what_a_copy_promised() -> None:
    states, way = lost()
    if way is not None:
        pytest.fail("\n".join(map(str, way)))
    assert states > 10_000


@pytest.mark.parametrize(
    "step",
    [
        *("guard", "new name", "restore", "again"),
        *("barrier when guarded", "barrier when taken", "barrier when anew", "barrier when again"),
    ],
)
def test_each_step_of_a_removal_is_needed(step: str) -> None:
    assert lost(step)[1] is not None


def test_what_nobody_uses_is_removed() -> None:
    state = State(copies_left=0, kills_left=0)
    for _ in range(100):
        removal = [*removal_steps(state, ""), state]
        state = removal[0]
        if state.collector is not None:
            state = next(collector_steps(state))
    assert (state.link, state.guard, state.taken, state.plan) == (None, None, None, False)
    assert state.removal == "idle"
