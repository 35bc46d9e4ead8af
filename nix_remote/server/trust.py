"""Whether the server takes what is to be sent, found out before the first byte of it goes out.

Nix takes a path that is signed by a key it trusts, or whose name follows from
its content, from every account. Every other path it takes from root and from users
that its `nix.conf` trusts; with `require-sigs = false`, from every account. No server
says that it has that setting, so one that does not trust us is sent a probe.

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
"""An empty file without a signature, sent to a server that does not say that it trusts us.

A server that takes no unsigned paths from us refuses it. Others register it, and keep it
until their next garbage collection.
"""


def check_acceptable(
    infos: Sequence[PathInfo], account: Account, takes_unsigned: Callable[[], bool]
) -> None:
    """Raises `SignatureRequired` if one of these paths will be refused.

    `takes_unsigned` is asked only if that matters. Whether the server trusts the
    keys of signatures that are there cannot be known beforehand.
    """
    unsigned = [info for info in infos if not info.signatures and not info.content_address]
    if unsigned and not takes_unsigned():
        raise SignatureRequired(
            account.alias, account.user, unsigned[0].path, None, len(unsigned) - 1
        )
