"""Features of the versions of the worker protocol and of Nix.

    Nix          worker protocol   since then
    2.4          1.32              the oldest supported
    2.15         1.35              announces whether it trusts us
    2.20         1.37              AddPermRoot (its own gate is 1.36)
    2.24         1.38              feature lists

(Checked by running 2.8, 2.26 and 2.34; the other rows are from Nix's sources.)

These numbers decide only about the protocol. Whether paths are kept does not depend on them: see
`RemoteStore.secure`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Optional

from nix_remote.text import PeerText
from nix_remote.wire.codec import WireError


class ProtocolVersion(NamedTuple):
    """A protocol version; on the wire one number, major * 256 + minor."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def number(self) -> int:
        return self.major << 8 | self.minor


def protocol_version(number: int) -> ProtocolVersion:
    """From the number on the wire."""
    return ProtocolVersion(number >> 8, number & 0xFF)


class UnsupportedVersion(WireError):
    """The server speaks the protocol, but a version that is too old."""

    def __init__(self, protocol: str, version: ProtocolVersion, oldest: ProtocolVersion) -> None:
        super().__init__(f"it speaks {protocol} protocol {version}; {oldest} is required")


WORKER_CLIENT: Final = ProtocolVersion(1, 37)
"""The version that we announce. 1.38 would only add a round trip, and Lix rejects clients below
1.35."""

WORKER_OLDEST: Final = ProtocolVersion(1, 32)

SERVE_CLIENT: Final = ProtocolVersion(2, 7)
SERVE_OLDEST: Final = ProtocolVersion(2, 5)


@dataclass(frozen=True)
class WorkerServer:
    """The server's greeting in a worker session."""

    protocol: ProtocolVersion
    """The highest version it speaks."""
    nix_version: Optional[PeerText]
    """For instance `2.34.8`; None below protocol 1.33. Only for messages: the daemon and the
    collector can be of other versions than the program that greets."""
    trusts_us: Optional[bool]
    """Whether unsigned paths are accepted; None if the greeting does not say so."""

    @property
    def effective(self) -> ProtocolVersion:
        """The version spoken in this session."""
        return min(self.protocol, WORKER_CLIENT)

    @property
    def can_make_roots(self) -> bool:
        """Whether AddPermRoot exists."""
        return self.effective >= (1, 36)


@dataclass(frozen=True)
class ServeServer:
    """The server's greeting in a serve session."""

    protocol: ProtocolVersion
    """The highest version it speaks."""

    @property
    def effective(self) -> ProtocolVersion:
        """The version spoken in this session."""
        return min(self.protocol, SERVE_CLIENT)
