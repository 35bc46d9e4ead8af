"""Which path is sent next, and through which of several sessions.

A server registers a path only when all that it refers to is registered. What
is sent through one session it registers in that order; sessions know nothing
of each other. So a path may go through a session once every reference is
registered, or was sent through that very session before.

Sans-IO: says what may be done, and is told what has happened.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import Optional, Sequence

from nix_remote.store.paths import PathInfo

Position = int
"""Of a path among those to be sent."""
Lane = int
"""A session, by its number."""


class UploadSchedule:
    """The order for paths given in dependency order. Not safe to use from several threads."""

    def __init__(self, infos: Sequence[PathInfo]) -> None:
        positions = {info.path: position for position, info in enumerate(infos)}
        self._lanes: list[Optional[Lane]] = [None] * len(infos)
        """Through which session each path was sent."""
        self._awaited = [
            {positions[path] for path in info.references if path in positions} - {position}
            for position, info in enumerate(infos)
        ]
        """For each path what it refers to and is not registered yet."""
        self._dependents: list[list[Position]] = [[] for _ in infos]
        for position, awaited in enumerate(self._awaited):
            for reference in awaited:
                self._dependents[reference].append(position)
        # Heaps; what has been taken is left in them until it comes up.
        self._for_all = [position for position, awaited in enumerate(self._awaited) if not awaited]
        self._for_lane: defaultdict[Lane, list[Position]] = defaultdict(list)
        self._left = len(infos)

    @property
    def all_taken(self) -> bool:
        """Whether nothing is left to be begun."""
        return self._left == 0

    def take(self, lane: Lane) -> Optional[Position]:
        """The first path that may go through this session now; None if none may yet."""
        heaps = [heap for heap in (self._for_all, self._for_lane[lane]) if self._first(heap)]
        if not heaps:
            return None
        position = heapq.heappop(min(heaps, key=lambda heap: heap[0]))
        self._lanes[position] = lane
        self._left -= 1
        self._offer_dependents(position)
        return position

    def registered(self, position: Position) -> None:
        """The server has registered the path."""
        for dependent in self._dependents[position]:
            self._awaited[dependent].discard(position)
        self._offer_dependents(position)

    def _first(self, heap: list[Position]) -> bool:
        """Whether the heap begins with a path that nobody has taken."""
        while heap and self._lanes[heap[0]] is not None:
            heapq.heappop(heap)
        return bool(heap)

    def _offer_dependents(self, position: Position) -> None:
        for dependent in self._dependents[position]:
            if self._lanes[dependent] is not None:
                continue
            through = {self._lanes[reference] for reference in self._awaited[dependent]}
            if not through:
                heapq.heappush(self._for_all, dependent)
            elif len(through) == 1:
                (lane,) = through
                if lane is not None:
                    heapq.heappush(self._for_lane[lane], dependent)
