"""Bounds the unanswered requests of a session. Sans-IO: sizes in, a decision out.

Up to Nix 2.19, and in Lix, `nix-daemon --stdio` of an ordinary account is one thread that
forwards bytes in both directions and blocks on either. While it waits for the daemon to read a
request, it forwards no reply; while the daemon waits for it to read a reply, the daemon reads no
request. Then both are deadlocked, whatever the client reads. So at every moment either the
replies that the daemon may write, or the requests after them, must fit into the buffers between
the two, which are those of a Unix socket:

    requests 1 ... k have short replies, and are fewer than `MOST_REPLIES`; or
    requests k + 1 ... n have at most `MOST_BYTES`                              for every k

Linux gives a Unix socket 208 KiB. A short message uses 768 bytes of it whatever its length,
so 277 of them fill it (Nix 2.8: 278 unread replies stop its daemon). The bounds leave room for
log messages between the replies. They cost no speed at a round trip time of 40 ms.

Does not belong here: waiting for replies (`nix_remote.server.session`).
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Final, Optional

MOST_REPLIES: Final = 100
"""Number of short replies that always fit into the buffers."""
SHORT_REPLY: Final = 512
"""Bytes."""
MOST_BYTES: Final = 128 * 1024
"""Bytes of requests that always fit into the buffers."""


class FlowControl:
    """The unanswered requests of a session. One thread may send while another one receives."""

    def __init__(self) -> None:
        # The receiving thread changes only this attribute; the sending thread owns the others.
        self._answered = 0
        self._forgotten = 0
        self._sent_bytes = 0
        self._ends: Deque[int] = deque()
        """For each unanswered request, the bytes sent up to its end."""
        self._long: Deque[tuple[int, int]] = deque()
        """The number and the end of each unanswered request whose reply may be long."""

    def admits(self, size: int) -> bool:
        """Whether a request of `size` bytes may be sent now."""
        self._forget_answered()
        end = self._end_of_first_that_may_block()
        return end is None or self._sent_bytes - end + size <= MOST_BYTES

    def _end_of_first_that_may_block(self) -> Optional[int]:
        """The end of the first request whose reply may not fit into the buffers."""
        if self._long and self._long[0][0] - self._forgotten < MOST_REPLIES:
            return self._long[0][1]
        return self._ends[MOST_REPLIES - 1] if len(self._ends) >= MOST_REPLIES else None

    def sent(self, size: int, reply_size: Optional[int]) -> None:
        """Records a request of `size` bytes.

        `reply_size` is the size of its largest reply in bytes; None if it has no bound.
        """
        self._sent_bytes += size
        if reply_size is None or reply_size > SHORT_REPLY:
            self._long.append((self._forgotten + len(self._ends), self._sent_bytes))
        self._ends.append(self._sent_bytes)

    def answered(self) -> None:
        """Records that the oldest request was answered."""
        self._answered += 1

    def _forget_answered(self) -> None:
        while self._forgotten < self._answered:
            self._ends.popleft()
            if self._long and self._long[0][0] == self._forgotten:
                self._long.popleft()
            self._forgotten += 1
