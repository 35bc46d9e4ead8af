"""How long a copy waits until every executor sees its paths.

An executor that has looked for a name in vain remembers that it is absent, for at most `acdirmax`
seconds of its NFS mount. A copy returns no earlier than that time, the *settle time*, after the
last of its paths became valid.

Pure.
"""

from __future__ import annotations

from typing import Mapping

from nix_remote.store.paths import StorePath

ValidSince = Mapping[StorePath, float]
"""Top path -> by when its whole closure was valid: seconds on a monotonic clock."""


def seconds_left(since: ValidSince, settle: float, now: float) -> float:
    """Seconds from `now` until the settle time has passed for all these closures; 0 if it has.

    `now` is on the clock of `since`.
    """
    return max(max(since.values(), default=now - settle) + settle - now, 0.0)
