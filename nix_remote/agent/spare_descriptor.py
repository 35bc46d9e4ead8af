"""A file descriptor kept in reserve, for a process that has no other one left."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import Iterator, Optional


class SpareDescriptor:
    """Holds a descriptor, and releases it for the length of a `with` block."""

    def __init__(self) -> None:
        self._descriptor: Optional[int] = None
        self._reserve()

    def _reserve(self) -> None:
        with suppress(OSError):
            self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def released(self) -> Iterator[None]:
        """In the `with` block, one more descriptor can be opened."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        try:
            yield
        finally:
            self._reserve()
