"""The key of this user that authenticates manifests.

    ~/.local/state/nix-remote/manifest-key      64 hexadecimal digits, mode 0600

`~` is the home folder in the user database, or `HOME` if that cannot be used: Bazel may start
fetches without `HOME`, and `ensure` must find the same key. The first copy that needs the key
generates it. It protects against files in repositories and archives; programs that run as this
user can read it.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final, Mapping, Sequence

from nix_remote import files

_KEY_FILE: Final = ".local/state/nix-remote/manifest-key"
_BYTES: Final = 32
_CONTENT: Final = re.compile(rb"([0-9a-f]{64})\n")


class KeyUnusable(Exception):
    """There is no key, and none can be generated. The message has the reason."""


def homes(environment: Mapping[str, str]) -> Sequence[Path]:
    """The folders that may be the user's home."""
    found = []
    with suppress(KeyError):
        found.append(pwd.getpwuid(os.getuid()).pw_dir)
    found.append(environment.get("HOME", ""))
    return [Path(each) for each in dict.fromkeys(found) if each.startswith("/")]


def keys(homes: Sequence[Path]) -> list[bytes]:
    """All existing keys. A manifest that one of them authenticates was written by this user."""
    found = []
    for home in homes:
        with suppress(KeyUnusable):
            found.append(_read(home / _KEY_FILE))
    return found


def own_key(homes: Sequence[Path]) -> bytes:
    """The key, which is generated if there is none. Raises `KeyUnusable`."""
    reasons = []
    for home in homes:
        file = home / _KEY_FILE
        try:
            if not os.path.lexists(file):
                _make(file)
            return _read(file)
        except OSError as error:
            reasons.append(f"{file}: {error.strerror or error}")
        except KeyUnusable as error:
            reasons.append(str(error))
    raise KeyUnusable("; ".join(reasons) or "this user has no home folder")


def _read(file: Path) -> bytes:
    try:
        content = files.read(file, 2 * _BYTES + 1, owner=files.Owner.THIS_USER)
    except files.NotReadable as error:
        raise KeyUnusable(f"{file}: {error}") from None
    found = _CONTENT.fullmatch(content)
    if found is None:
        raise KeyUnusable(f"{file}: not a key")
    return bytes.fromhex(found[1].decode())


def _make(file: Path) -> None:
    """Generates a key, unless another process does so at the same time."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w") as opened:
            opened.write(f"{secrets.token_hex(_BYTES)}\n")
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        os.unlink(draft)
