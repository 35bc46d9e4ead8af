"""Tells a failure of a copy from a shortage of resources in the process that copies.

A process that serves runs longer than its clients and under other limits: it may run out of
descriptors, threads or memory, or lose its folder for temporary files, where a client would not.
Errors do not always show that: without a free descriptor, a host name lookup fails as if the name
did not exist. So the causes of the error are examined, and the resources of a copy are tried.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from contextlib import ExitStack
from typing import Final, Iterator, Optional

_DESCRIPTORS: Final = 24
"""More than a copy needs for the pipes of a few programs, sockets and files."""
_LACKING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def of_this_process(error: BaseException) -> Optional[str]:
    """The shortage that may have caused the error, as the system describes it."""
    return behind(error) or _lacking_now()


def behind(error: BaseException) -> Optional[str]:
    """The shortage that the error was raised for, as the system describes it."""
    for cause in _causes(error):
        if isinstance(cause, MemoryError) or (
            isinstance(cause, OSError) and cause.errno in _LACKING
        ):
            return str(cause) or type(cause).__name__
        if isinstance(cause, RuntimeError) and "start new thread" in str(cause):
            return str(cause)
    return None


def _causes(error: Optional[BaseException]) -> Iterator[BaseException]:
    """The error and its chain of causes, including suppressed ones."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _lacking_now() -> Optional[str]:
    try:
        with ExitStack() as opened:
            opened.enter_context(tempfile.TemporaryFile())
            for _ in range(_DESCRIPTORS):
                descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
                opened.callback(os.close, descriptor)
        trying = threading.Thread(target=int, daemon=True)
        trying.start()
        trying.join()
    except (OSError, RuntimeError, MemoryError) as error:
        return str(error) or type(error).__name__
    return None
