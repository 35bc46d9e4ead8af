"""The keys that `ssh` tried to log in with, and why each failed, from its log. Pure.

Parses the output of OpenSSH 9.2, 10.0 and 10.6 with `LogLevel DEBUG1` in batch mode. The error
for the login as a whole is made in `diagnostics.py`.
"""

from __future__ import annotations

import re
from typing import Collection, Final, Iterator

from nix_remote.ssh.keys.key_files import NEEDS_PASSPHRASE, PUBLIC_KEY

_OFFERED: Final = re.compile(
    r"^debug1: (?:Offering public key|Trying private key): (\S+)(.*)$", re.M
)
_ACCEPTED: Final = re.compile(r"^debug1: Server accepts key: (\S+)", re.M)
# ssh cannot load the key, and so does not offer it.
_NOT_LOADED: Final = re.compile(
    r"^debug1: Trying private key: (\S+)\n(?!debug1: Authentications)", re.M
)
_MALFORMED: Final = re.compile(
    r"^Load key \"(.+)\": (invalid format|error in libcrypto|[Uu]nsupported .*|unknown .*)\s*$",
    re.M,
)
_TOO_OPEN: Final = re.compile(r"^Permissions \d+ for '(.+)' are too open", re.M)
_FORBIDDEN: Final = re.compile(
    r"^debug1: Skipping \S+ key (\S+) - corresponding algo(?:rithm)? not in PubkeyAccepted", re.M
)
_CERTIFIED: Final = re.compile(r" \S+-CERT ")
_NO_SIGNATURE: Final = re.compile(
    r"^sign_and_send_pubkey: signing failed for \S+ \"(.+?)\".*: (.*)$", re.M
)
_NO_PIN: Final = re.compile(
    r"^pin required\s*\n(?:debug1: .*\n)*?debug1: pkcs11_add_provider: provider (.+) returned",
    re.M,
)
_NO_CARD: Final = re.compile(r"^provider (.+ is not a PKCS11 library)\s*$", re.M)
_NO_TICKET: Final = re.compile(r"^(?:debug1: )?(No Kerberos credentials available.*)$", re.M)

_NEEDS_PIN: Final = "needs a PIN and is not in the SSH agent"


def tried(log: str, public: Collection[str] = frozenset()) -> list[str]:
    """The keys and tickets that were tried, in OpenSSH's order, with the reasons that it gives.

    `public` names the identity files that hold a public key.
    """
    tickets = [f"Kerberos ({why.strip()})" for why in _once(_NO_TICKET, log)]
    cards = [f"{provider} ({_NEEDS_PIN})" for provider in _once(_NO_PIN, log)]
    unreadable = list(_once(_NO_CARD, log))
    forbidden = [
        f"{name} (not used: PubkeyAcceptedAlgorithms forbids it)" for name in _once(_FORBIDDEN, log)
    ]
    return [*tickets, *cards, *unreadable, *forbidden, *_keys(log, public)]


def to_unlock(log: str) -> str:
    """The arguments for `ssh-add` to load the keys that need a passphrase or a PIN."""
    described = set(_keys(log, ()))
    names = _once(_OFFERED, log)
    locked = [name for name in names if f"{name} ({NEEDS_PASSPHRASE})" in described]
    return " ".join(locked) or " ".join(f"-s {provider}" for provider in _once(_NO_PIN, log))


def _keys(log: str, public: Collection[str]) -> Iterator[str]:
    accepted = set(_ACCEPTED.findall(log))
    unloadable = set(_NOT_LOADED.findall(log))
    too_open = set(_TOO_OPEN.findall(log))
    malformed = dict(_MALFORMED.findall(log))
    unsigned = dict(_NO_SIGNATURE.findall(log))
    for name, more in dict.fromkeys(_OFFERED.findall(log)):
        if name in public and " agent" not in more:
            yield f"{name} ({PUBLIC_KEY})"
        elif name in too_open:
            yield f"{name} (other users can read it: chmod 600 {name})"
        elif name in unsigned:
            yield f"{name} ({unsigned[name].strip()})"
        elif name in malformed:
            yield f"{name} (cannot be loaded: {malformed[name]})"
        elif name in unloadable:
            yield f"{name} ({NEEDS_PASSPHRASE})"
        elif name in accepted:
            # The server accepts it, but in batch mode ssh asks for no passphrase.
            refused = " agent" in more
            yield f"{name} ({'the SSH agent refused to sign' if refused else NEEDS_PASSPHRASE})"
        elif _CERTIFIED.match(more):
            yield f"{name} with its certificate"
        else:
            yield f"{name} from the SSH agent" if " agent" in more else name


def _once(pattern: re.Pattern[str], log: str) -> Iterator[str]:
    """The first group of every match, without duplicates."""
    return iter(dict.fromkeys(match[1] for match in pattern.finditer(log)))
