"""The exception for what paramiko does not support and the `ssh` program may.

The modules of the paramiko transport raise it; only `connect.py` catches it.
"""

from __future__ import annotations

from nix_remote.errors import NixRemoteError


class Unsupported(Exception):
    """paramiko cannot connect, and the cause may be paramiko rather than the server."""

    def __init__(self, why: str, error: NixRemoteError) -> None:
        super().__init__(why)
        self.why = why
        """Why `ssh` is tried, for messages."""
        self.error = error
        """The error to raise if `ssh` must not be used or is not installed."""
