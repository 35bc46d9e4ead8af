"""Whether the server takes what is to be sent, found out before the first byte of it goes out.

Nix takes a path that is signed by a key it trusts, or whose name follows from
its content, from anybody. Every other path it takes from root and from users
that its `nix.conf` trusts.
"""

from __future__ import annotations

import hashlib
from typing import Callable, Final, Sequence

from nix_remote.errors import SignatureRequired
from nix_remote.remote.refusals import Account
from nix_remote.wire.codec import encode_text
from nix_remote.wire.types import NarHash, PathInfo, parse_store_path

PROBE_CONTENT: Final = b"".join(
    map(encode_text, ("nix-archive-1", "(", "type", "regular", "contents", "", ")"))
)

PROBE: Final = PathInfo(
    parse_store_path(f"/nix/store/{'0' * 32}-nix-remote-trust-probe"),
    NarHash(hashlib.sha256(PROBE_CONTENT).digest()),
    len(PROBE_CONTENT),
)
"""An empty file without a signature, to be sent to a server that does not say if it trusts us.

One that does not refuses it. One that does registers it, and keeps it until
its next garbage collection.
"""


def check_acceptable(
    infos: Sequence[PathInfo], account: Account, trusts_us: Callable[[], bool]
) -> None:
    """Raises `SignatureRequired` if one of these paths will be refused.

    `trusts_us` is asked only if that matters. Whether the server trusts the
    keys of signatures that are there cannot be known beforehand.
    """
    unsigned = [info for info in infos if not info.signatures and not info.content_address]
    if unsigned and not trusts_us():
        raise SignatureRequired(
            account.alias, account.user, unsigned[0].path, None, len(unsigned) - 1
        )
