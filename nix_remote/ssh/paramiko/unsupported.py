"""What paramiko could not do although the `ssh` program may be able to: an explicit verdict.

The modules of the paramiko transport raise it; `choose` is the only one that catches it.
"""

from __future__ import annotations

from nix_remote.errors import NixRemoteError


class Unsupported(Exception):
    """paramiko does not get to this server, and the reason need not be the server's."""

    def __init__(self, why: str, error: NixRemoteError) -> None:
        super().__init__(why)
        self.why = why
        """Why `ssh` is tried, in words; `-v` shows it."""
        self.error = error
        """What to report where `ssh` is not to be used, or is not there."""
