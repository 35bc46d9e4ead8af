"""A session with a Nix program on this machine, over any pair of read and write functions.

For short sessions: one thread, which writes requests and then reads the replies.
`nix_remote.server.session` is for sessions with the server.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, Final, Generic, Iterator, TypeVar

from nix_remote.protocol.conversation import Conversation, Refused, Replied, Request, Server
from nix_remote.wire.codec import WireError

T = TypeVar("T")

_READ_SIZE: Final = 64 * 1024


class LocalSession(Generic[Server]):
    """A session with a local program."""

    def __init__(
        self,
        conversation: Conversation[Server],
        read: Callable[[int], bytes],
        write: Callable[[bytes], None],
    ) -> None:
        self._conversation = conversation
        self._read = read
        self._write = write
        write(conversation.greeting())

    def ask(self, *requests: Request[T]) -> list[T]:
        """The replies to these requests. Raises `WireError`, and errors of `read` and `write`."""
        answers: list[T] = []
        waiting = deque(requests)
        while len(answers) < len(requests):
            batch = b"".join(self._admitted(waiting))
            wanted = len(requests) - len(waiting)
            self._write(batch)
            while len(answers) < wanted:
                data = self._read(_READ_SIZE)
                if not data:
                    raise EOFError("the program ended too early")
                for event in self._conversation.receive(data):
                    if isinstance(event, Refused):
                        raise WireError(f"the program rejected a request: {event.message}")
                    if isinstance(event, Replied):
                        answers.append(event.value)  # type: ignore[arg-type]  # in order
        return answers

    def _admitted(self, waiting: Deque[Request[T]]) -> Iterator[bytes]:
        """Takes the requests that may be sent now from `waiting`."""
        while waiting and self._conversation.admits(waiting[0], len(waiting[0].encode())):
            yield self._conversation.request(waiting.popleft())
