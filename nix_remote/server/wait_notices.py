"""Tells a person, more and more rarely, what has not happened yet."""

from __future__ import annotations

from typing import Final

from nix_remote import events

FIRST: Final = 10.0
"""Seconds of waiting before anything is said; then twice as many, and so on."""


class WaitNotices:
    """The notices of one wait."""

    def __init__(self, listener: events.Listener, waiting_for: str) -> None:
        self._listener = listener
        self._waiting_for = waiting_for
        self._next = FIRST

    def after(self, seconds: float) -> None:
        """To be called now and then, with how long nothing has happened."""
        if seconds >= self._next:
            self._next *= 2
            self._listener(events.Waiting(self._waiting_for, seconds))
