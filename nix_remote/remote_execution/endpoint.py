"""The address of a Remote Execution service and the properties of executors, as Bazel has them.

Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Optional, Sequence
from urllib.parse import urlsplit

from nix_remote.errors import InvalidSetting

_SCHEMES: Final = ("grpc", "grpcs")
# gRPC expects other values behind names that end with -bin.
_HEADER: Final = re.compile(r"[a-z0-9_.-]+(?<!-bin)")


@dataclass(frozen=True)
class Endpoint:
    """A service, and the settings of requests to it."""

    url: str
    """`grpc://HOST:PORT`, or `grpcs://` over TLS."""
    instance_name: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    """The properties that an executor must have: names and values, sorted."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of every request, such as a token."""
    authority: Optional[bytes] = None
    """Certificates (PEM) of trusted certificate authorities; None: gRPC's default."""
    timeout: float = 60.0
    """Seconds for an executor to accept and run the action."""

    @property
    def target(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def is_encrypted(self) -> bool:
        return urlsplit(self.url).scheme == "grpcs"


def check_url(url: str) -> str:
    """Returns the address of a service if it is valid. Raises `InvalidSetting`."""
    if not _is_address(url):
        expected = "the service's address: grpc://HOST:PORT, or grpcs://HOST:PORT over TLS"
        raise InvalidSetting("--remote-executor", url, expected)
    return url


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # raises if the port is not a number
    except ValueError:
        return False
    is_whole = url == f"{parts.scheme}://{parts.netloc}"
    return bool(host) and parts.scheme in _SCHEMES and is_whole and "@" not in parts.netloc


def properties(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Name and value of each `NAME=VALUE`, sorted. Raises `InvalidSetting`."""
    return tuple(sorted(_pair("--exec-property", text) for text in texts))


def headers(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Name and value of each `NAME=VALUE`. Raises `InvalidSetting`, which quotes no value."""
    found = [_pair("--remote-header", text) for text in texts]
    for name, value in found:
        if not _HEADER.fullmatch(name.lower()) or not (value.isascii() and value.isprintable()):
            raise InvalidSetting("--remote-header", f"{name}=…", "a valid HTTP header")
    return tuple((name.lower(), value) for name, value in found)


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InvalidSetting(option, text, "NAME=VALUE")
    return name, value
