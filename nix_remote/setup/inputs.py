"""Validates the user's input for the generators, which write it into scripts and root's files.

Pure. Every function returns the value in the form to write, or raises `SetupInputUnusable`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from nix_remote.errors import SetupInputUnusable

_ACCOUNT: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_LABELS: Final = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}$){_LABELS}(\.{_LABELS})*")
_FILE_SYSTEM: Final = re.compile(
    r"[0-9]{1,9}|root|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
_NIX_KEY: Final = re.compile(r"[A-Za-z0-9._-]+:[A-Za-z0-9+/]{43}=")
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_KUBERNETES_LABEL: Final = re.compile(_LABEL)
_KUBERNETES_NAME: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_RELATIVE: Final = re.compile(r"[A-Za-z0-9._@/?=:-]+")
_ABSOLUTE: Final = re.compile(r"/[A-Za-z0-9._@+=:/-]+")
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_PROPERTY: Final = re.compile(r"[A-Za-z0-9_.-]+=[A-Za-z0-9_.:/@+-]*")
_SCHEMES: Final = ("grpc", "grpcs", "http", "https", "unix")


def account(text: str) -> str:
    """The name of an account other than root."""
    if text == "root":
        raise SetupInputUnusable("the account's name", "an account other than root")
    return _matching(_ACCOUNT, text, "the account's name", "lower-case letters, digits, - and _")


def host(text: str, what: str) -> str:
    """A host's name or address in NFS syntax: an IPv6 address gets brackets."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare and "%" not in bare:
        try:
            return f"[{ipaddress.IPv6Address(bare)}]"
        except ValueError as error:
            raise SetupInputUnusable(what, f"a host name or an address ({error})") from None
    return _matching(_HOST, bare, what, "a host name or an address")


def network(text: str) -> str:
    """A network such as `10.1.0.0/16`, or an address."""
    try:
        if "%" in text:
            raise ValueError("exports(5) does not support addresses with a zone")
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise SetupInputUnusable("--executors", f"networks such as 10.1.0.0/16 ({error})") from None


def file_system_id(text: str) -> str:
    """The identifier of an NFS export: a number or a UUID."""
    return _matching(_FILE_SYSTEM, text, "--fsid", "a number or a UUID")


def nix_public_key(text: str) -> str:
    """A public key in Nix's format: `ci-1:…`."""
    return _matching(_NIX_KEY, text, "--trusted-key", "the public key that nix-store generated")


def kubernetes_label(text: str, what: str) -> str:
    """The name of a Kubernetes namespace or container."""
    return _matching(_KUBERNETES_LABEL, text, what, "lower-case letters, digits and -")


def kubernetes_name(text: str, what: str) -> str:
    """The name of a Kubernetes object."""
    return _matching(_KUBERNETES_NAME, text, what, "lower-case letters, digits, - and .")


def resource(text: str, what: str) -> str:
    """A folder or an address that kustomize accepts as a resource."""
    return _matching(_RELATIVE, text, what, "a relative folder, or an address for kustomize")


def absolute_file(text: str, what: str) -> str:
    """The absolute path of a file."""
    return _matching(_ABSOLUTE, text, what, "an absolute path without spaces")


def platform_property(text: str) -> str:
    """A platform property `NAME=VALUE`."""
    return _matching(_PROPERTY, text, "--platform-property", "NAME=VALUE, without spaces")


def remote_executor(text: str) -> str:
    """The address of a Remote Execution service."""
    parts = urlsplit(text)
    if (
        parts.scheme not in _SCHEMES
        or re.search(r"[\s'\"\\]", text)
        or not parts.path + parts.netloc
    ):
        raise SetupInputUnusable(
            "--remote-executor", "an address such as grpcs://build.example.org"
        )
    return text


def at_least(smallest: int, value: int, what: str) -> int:
    """A number that is at least `smallest`."""
    if value < smallest:
        raise SetupInputUnusable(what, f"a number of at least {smallest}")
    return value


def line(text: str, what: str) -> str:
    """One line of text."""
    return _matching(_LINE, text, what, "one line of text")


def _matching(pattern: re.Pattern[str], text: str, what: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise SetupInputUnusable(what, expected)
    return text
