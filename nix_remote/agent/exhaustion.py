"""Whether a failure says something about the copy, or only about the process that made it.

A process that serves lives longer than its clients, and under other limits: it may run out of
descriptors, threads or memory, or lose its folder for temporary files, where a client by itself
would not. Errors do not always say so: a name that cannot be looked up for want of a descriptor
looks like a name that does not exist. So the cause is looked for, and what a copy needs is tried.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from contextlib import ExitStack
from typing import Final, Iterator, Optional

_DESCRIPTORS: Final = 24
"""More than a copy needs: pipes of a few programs, sockets, files."""
_LACKING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def of_this_process(error: BaseException) -> Optional[str]:
    """What this process lacks, in words, if that may have caused the error."""
    return behind(error) or _lacking_now()


def behind(error: BaseException) -> Optional[str]:
    """What this process lacked, in words, if the error was raised for that."""
    for cause in _causes(error):
        if isinstance(cause, MemoryError) or (
            isinstance(cause, OSError) and cause.errno in _LACKING
        ):
            return str(cause) or type(cause).__name__
        if isinstance(cause, RuntimeError) and "start new thread" in str(cause):
            return str(cause)
    return None


def _causes(error: Optional[BaseException]) -> Iterator[BaseException]:
    """The error, and what it was raised for, shown or not."""
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
