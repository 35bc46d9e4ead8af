"""Asks a Nix program of this machine, over any pair of read and write functions.

For short local exchanges: one thread, replies read when they are wanted.
`nix_remote.remote.session` is for the long ones.
"""

from __future__ import annotations

from typing import Callable, Final, Generic, TypeVar

from nix_remote.protocol.conversation import Conversation, Refused, Replied, Request, Server
from nix_remote.wire.codec import WireError

T = TypeVar("T")

_READ_SIZE: Final = 64 * 1024

# Requests written before their replies are read must fit, with their replies, into
# what a pipe holds, or both sides wait for each other.
_BATCH: Final = 128


class Dialogue(Generic[Server]):
    """A conversation with a program that is near."""

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
        """The replies to these requests. Raises `WireError`, or what reading raises."""
        answers: list[T] = []
        for first in range(0, len(requests), _BATCH):
            batch = requests[first : first + _BATCH]
            self._write(b"".join(self._conversation.request(request) for request in batch))
            wanted = len(answers) + len(batch)
            while len(answers) < wanted:
                data = self._read(_READ_SIZE)
                if not data:
                    raise EOFError("it ended too early")
                for event in self._conversation.receive(data):
                    if isinstance(event, Refused):
                        raise WireError(f"it refused a question: {event.message}")
                    if isinstance(event, Replied):
                        answers.append(event.value)  # type: ignore[arg-type]  # in order
        return answers
