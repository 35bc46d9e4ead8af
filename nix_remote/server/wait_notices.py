"""Reports a long wait to the user, at growing intervals."""

from __future__ import annotations

from typing import Final

from nix_remote import events

FIRST: Final = 10.0
"""Seconds of waiting before the first notice. The interval doubles with each notice."""


class WaitNotices:
    """The notices of one wait."""

    def __init__(self, listener: events.Listener, waiting_for: str) -> None:
        self._listener = listener
        self._waiting_for = waiting_for
        self._next = FIRST

    def after(self, seconds: float) -> None:
        """Reports the wait if a notice is due. `seconds` is the time without progress."""
        if seconds >= self._next:
            self._next *= 2
            self._listener(events.Waiting(self._waiting_for, seconds))
