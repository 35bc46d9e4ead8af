"""Schedules which path is sent next, and through which of several sessions.

A server registers a path only when all of its references are registered. It registers the paths
of one session in the order in which they were sent; sessions are independent of each other. So a
path may be sent through a session once every reference is registered, or was sent through the
same session before.

Sans-IO: callers report what was sent and registered.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import Optional, Sequence

from nix_remote.store.paths import PathInfo

Position = int
"""The index of a path among those to be sent."""
Lane = int
"""A session, by its number."""


class UploadSchedule:
    """The order for paths given in dependency order. Not safe to use from several threads."""

    def __init__(self, infos: Sequence[PathInfo]) -> None:
        positions = {info.path: position for position, info in enumerate(infos)}
        self._lanes: list[Optional[Lane]] = [None] * len(infos)
        """The session of each path; None if it was not taken."""
        self._awaited = [
            {positions[path] for path in info.references if path in positions} - {position}
            for position, info in enumerate(infos)
        ]
        """For each path, its references that are not registered."""
        self._dependents: list[list[Position]] = [[] for _ in infos]
        for position, awaited in enumerate(self._awaited):
            for reference in awaited:
                self._dependents[reference].append(position)
        # Heaps. A path that was taken stays in its heaps until it reaches the top.
        self._for_all = [position for position, awaited in enumerate(self._awaited) if not awaited]
        self._for_lane: defaultdict[Lane, list[Position]] = defaultdict(list)
        self._left = len(infos)

    @property
    def all_taken(self) -> bool:
        """Whether all paths were taken."""
        return self._left == 0

    def take(self, lane: Lane) -> Optional[Position]:
        """The first path that may be sent through this session now; None if there is none."""
        heaps = [heap for heap in (self._for_all, self._for_lane[lane]) if self._first(heap)]
        if not heaps:
            return None
        position = heapq.heappop(min(heaps, key=lambda heap: heap[0]))
        self._lanes[position] = lane
        self._left -= 1
        self._offer_dependents(position)
        return position

    def registered(self, position: Position) -> None:
        """Records that the server has registered the path."""
        for dependent in self._dependents[position]:
            self._awaited[dependent].discard(position)
        self._offer_dependents(position)

    def _first(self, heap: list[Position]) -> bool:
        """Drops taken paths from the top; returns whether a path is left."""
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
