"""Checks that the server will accept paths before their first byte is sent.

Nix accepts a path that is signed by a trusted key, or that is content-addressed, from every
account. It accepts every other path from root and from users that its `nix.conf` trusts; with
`require-sigs = false`, from every account. A server does not announce that setting. So if it does
not trust us, we send it a probe.

Sans-IO.
"""

from __future__ import annotations

import hashlib
from typing import Callable, Final, Sequence

from nix_remote.errors import SignatureRequired
from nix_remote.server.nix_errors import Account
from nix_remote.store.paths import NarHash, PathInfo, parse_store_path
from nix_remote.wire.codec import encode_text

PROBE_CONTENT: Final = b"".join(
    map(encode_text, ("nix-archive-1", "(", "type", "regular", "contents", "", ")"))
)

PROBE: Final = PathInfo(
    parse_store_path(f"/nix/store/{'0' * 32}-nix-remote-trust-probe"),
    NarHash(hashlib.sha256(PROBE_CONTENT).digest()),
    len(PROBE_CONTENT),
)
"""An empty file without a signature, sent to a server that does not announce that it trusts us.

A server that accepts no unsigned paths from us rejects it. Others register it, and keep it until
their next garbage collection.
"""


def check_acceptable(
    infos: Sequence[PathInfo], account: Account, takes_unsigned: Callable[[], bool]
) -> None:
    """Raises `SignatureRequired` if the server will reject one of these paths.

    Calls `takes_unsigned` only if that matters. Whether the server trusts the keys of existing
    signatures is not known beforehand.
    """
    unsigned = [info for info in infos if not info.signatures and not info.content_address]
    if unsigned and not takes_unsigned():
        raise SignatureRequired(
            account.alias, account.user, unsigned[0].path, None, len(unsigned) - 1
        )
