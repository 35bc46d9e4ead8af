"""What the `ssh` program tried to log in with, and why each did not help. Pure: its words in.

The words are those of OpenSSH 9.2, 10.0 and 10.6 with `LogLevel DEBUG1` in batch
mode. How a login ended as a whole is said in `openssh_messages`.
"""

from __future__ import annotations

import re
from typing import Collection, Final, Iterator

from nix_remote.ssh.keys.key_files import PUBLIC_KEY

_OFFERED: Final = re.compile(
    r"^debug1: (?:Offering public key|Trying private key): (\S+)(.*)$", re.M
)
_ACCEPTED: Final = re.compile(r"^debug1: Server accepts key: (\S+)", re.M)
# It cannot be read, and so is not even offered.
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

_LOCKED: Final = "needs a passphrase; is it in the agent?"
_PIN: Final = "needs a PIN; is it in the agent?"


def in_words(said: str, public: Collection[str] = frozenset()) -> list[str]:
    """Each thing that was tried, in OpenSSH's order, with the reason if it gave one.

    `public` names the files that have no private key.
    """
    tickets = [f"Kerberos ({why.strip()})" for why in _once(_NO_TICKET, said)]
    cards = [f"{provider} ({_PIN})" for provider in _once(_NO_PIN, said)]
    unreadable = list(_once(_NO_CARD, said))
    forbidden = [
        f"{name} (not used: PubkeyAcceptedAlgorithms forbids it)"
        for name in _once(_FORBIDDEN, said)
    ]
    return [*tickets, *cards, *unreadable, *forbidden, *_keys(said, public)]


def to_unlock(said: str) -> str:
    """What to give to `ssh-add`, so that the agent has what needs a passphrase or a PIN."""
    locked = [name for name in _once(_OFFERED, said) if f"{name} ({_LOCKED})" in _keys(said, ())]
    return " ".join(locked) or " ".join(f"-s {provider}" for provider in _once(_NO_PIN, said))


def _keys(said: str, public: Collection[str]) -> Iterator[str]:
    accepted = set(_ACCEPTED.findall(said))
    unloadable = set(_NOT_LOADED.findall(said))
    too_open = set(_TOO_OPEN.findall(said))
    malformed = dict(_MALFORMED.findall(said))
    unsigned = dict(_NO_SIGNATURE.findall(said))
    for name, more in dict.fromkeys(_OFFERED.findall(said)):
        if name in public and " agent" not in more:
            yield f"{name} ({PUBLIC_KEY})"
        elif name in too_open:
            yield f"{name} (others can read it: chmod 600 {name})"
        elif name in unsigned:
            yield f"{name} ({unsigned[name].strip()})"
        elif name in malformed:
            yield f"{name} (cannot be loaded: {malformed[name]})"
        elif name in unloadable:
            yield f"{name} ({_LOCKED})"
        elif name in accepted:
            # It would have been let in. In batch mode a passphrase is not asked for.
            yield f"{name} (the agent refused it)" if " agent" in more else f"{name} ({_LOCKED})"
        elif _CERTIFIED.match(more):
            yield f"{name} with its certificate"
        else:
            yield f"{name} from the agent" if " agent" in more else name


def _once(pattern: re.Pattern[str], said: str) -> Iterator[str]:
    """The first group of every match, without repetitions."""
    return iter(dict.fromkeys(match[1] for match in pattern.finditer(said)))
