"""The key of this user with which manifests are authenticated.

    ~/.local/state/nix-remote/manifest-key      64 hexadecimal digits, mode 0600

`~` is the home folder of the user database, and where that cannot be used, `HOME`: Bazel may
start fetches without `HOME`, and `ensure` has to find the same key. The key is made by the
first copy that needs it. It protects against files that repositories and archives contain;
a program that runs as this user can read it.
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

_PLACE: Final = ".local/state/nix-remote/manifest-key"
_BYTES: Final = 32
_CONTENT: Final = re.compile(rb"([0-9a-f]{64})\n")


class KeyUnusable(Exception):
    """There is no key, and none can be made. Says why."""


def homes(environment: Mapping[str, str]) -> Sequence[Path]:
    """The folders that may be the user's home."""
    found = []
    with suppress(KeyError):
        found.append(pwd.getpwuid(os.getuid()).pw_dir)
    found.append(environment.get("HOME", ""))
    return [Path(each) for each in dict.fromkeys(found) if each.startswith("/")]


def keys(homes: Sequence[Path]) -> list[bytes]:
    """All keys that there are: what one of them has authenticated, this user wrote."""
    found = []
    for home in homes:
        with suppress(KeyUnusable):
            found.append(_read(home / _PLACE))
    return found


def own_key(homes: Sequence[Path]) -> bytes:
    """The key, which is made if there is none. Raises `KeyUnusable`."""
    reasons = []
    for home in homes:
        place = home / _PLACE
        try:
            if not os.path.lexists(place):
                _make(place)
            return _read(place)
        except OSError as error:
            reasons.append(f"{place}: {error.strerror or error}")
        except KeyUnusable as error:
            reasons.append(str(error))
    raise KeyUnusable("; ".join(reasons) or "this user has no home folder")


def _read(place: Path) -> bytes:
    try:
        content = files.read(place, 2 * _BYTES + 1, owner=files.Owner.THIS_USER)
    except files.NotReadable as error:
        raise KeyUnusable(f"{place}: {error}") from None
    found = _CONTENT.fullmatch(content)
    if found is None:
        raise KeyUnusable(f"{place}: it is not a key")
    return bytes.fromhex(found[1].decode())


def _make(place: Path) -> None:
    """Makes a key, unless another process does at the same time."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = place.with_name(f"{place.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w") as opened:
            opened.write(f"{secrets.token_hex(_BYTES)}\n")
        with suppress(FileExistsError):
            os.link(draft, place)
    finally:
        os.unlink(draft)
