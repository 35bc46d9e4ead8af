"""known_hosts files: the entries for a server, and recording of a new one.

Reading and matching follow OpenSSH: hashed names, `[host]:port`, patterns and negation,
`@cert-authority`, `@revoked`. Invalid lines are skipped, as there. The verdict on a host key
belongs in `host_key_check.py`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Iterable, Optional

from nix_remote.ssh import patterns
from nix_remote.ssh.keys.certificates import public_key

_MAX_SIZE: Final = 16 * 1024 * 1024
_HASHED: Final = "|1|"
# Key types that paramiko lacks: it cannot verify them, but their entries count.
_ONLY_OPENSSH: Final = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


class Marker(Enum):
    """The marker of a line."""

    KNOWN = ""
    AUTHORITY = "@cert-authority"
    REVOKED = "@revoked"


@dataclass(frozen=True)
class Entry:
    """A line that applies to the server."""

    marker: Marker
    kind: str
    """The key type, such as `ssh-ed25519`."""
    key: bytes
    file: Path
    line: int

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"


def fingerprint(key: bytes) -> str:
    """A public key's type and SHA-256 fingerprint, in OpenSSH's notation."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"{kind_of(key)} SHA256:{digest}"


def kind_of(key: bytes) -> str:
    """The type of a public key, such as `ssh-ed25519`."""
    length = int.from_bytes(key[:4], "big")
    return key[4 : 4 + length].decode(errors="replace")


def entries(files: Iterable[Path], name: str) -> tuple[Entry, ...]:
    """The entries for `name` (in lower case; `[host]:port` if the port is not 22)."""
    return tuple(
        entry
        for file in files
        for number, text in enumerate(_lines(file), 1)
        if (entry := _entry(text, name, file, number)) is not None
    )


def _lines(file: Path) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read(_MAX_SIZE).split("\n")
    except OSError:
        return []


def _entry(text: str, name: str, file: Path, number: int) -> Optional[Entry]:
    words = text.replace("\t", " ").split(" ")
    words = [word for word in words if word]
    if not words or words[0].startswith("#"):
        return None
    marker = Marker.KNOWN
    if words[0].startswith("@"):
        try:
            marker = Marker(words.pop(0))
        except ValueError:
            return None
    if len(words) < 3 or not _matches(name, words[0]):
        return None
    try:
        key = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    parsed = public_key(key)
    kind = words[1]
    if parsed is None and kind not in _ONLY_OPENSSH:
        return None
    if parsed is not None and parsed.get_name() != kind:
        return None
    return Entry(marker, kind, key, file, number)


def _matches(name: str, names: str) -> bool:
    if not names.startswith("|"):
        return patterns.host_matches_list(name, names)
    try:
        salt = base64.b64decode(names.removeprefix(_HASHED).split("|")[0], validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(_hashed(name, salt).encode(), names.encode(errors="replace"))


def _hashed(name: str, salt: bytes) -> str:
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"{_HASHED}{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


class Names(Enum):
    """How host names are recorded."""

    PLAIN = "plain"
    HASHED = "hashed"


def record(file: Path, names: tuple[str, ...], key: bytes, how: Names) -> None:
    """Adds a server's key to a file, and creates the file if necessary. Raises `OSError`."""
    if how is Names.HASHED:
        subjects = [_hashed(name, os.urandom(20)) for name in names]
    else:
        subjects = [",".join(names)]
    file.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "r+b", buffering=0) as opened:
        encoded = f"{kind_of(key)} {base64.b64encode(key).decode()}"
        text = "".join(f"{one} {encoded}\n" for one in subjects)
        end = opened.seek(0, os.SEEK_END) if opened.seekable() else 0
        if end:
            opened.seek(end - 1)
            if opened.read(1) != b"\n":
                text = f"\n{text}"
        opened.write(text.encode())
