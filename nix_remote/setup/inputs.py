"""Values that people give to the generators, checked: they end up in scripts and in files of root.

Pure. Every function returns the value as it is to be written, or raises `SetupInputUnusable`.
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
    """The name of an account, which has to be another one than root's."""
    if text == "root":
        raise SetupInputUnusable("the account's name", "an account of its own, not root")
    return _matching(_ACCOUNT, text, "the account's name", "lower-case letters, digits, - and _")


def host(text: str, what: str) -> str:
    """A host's name or address, as NFS takes it: an IPv6 address gets its brackets."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare and "%" not in bare:
        try:
            return f"[{ipaddress.IPv6Address(bare)}]"
        except ValueError as error:
            raise SetupInputUnusable(what, f"a host name or an address ({error})") from None
    return _matching(_HOST, bare, what, "a host name or an address")


def network(text: str) -> str:
    """A network: `10.1.0.0/16`, or one address."""
    try:
        if "%" in text:
            raise ValueError("an address of one link is none that exports(5) knows")
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise SetupInputUnusable("--executors", f"networks such as 10.1.0.0/16 ({error})") from None


def file_system_id(text: str) -> str:
    """What an NFS export is known by: a number, or a UUID."""
    return _matching(_FILE_SYSTEM, text, "--fsid", "a number or a UUID")


def nix_public_key(text: str) -> str:
    """A public key of Nix's: `ci-1:…`."""
    return _matching(_NIX_KEY, text, "--trusted-key", "what nix-store put into the public file")


def kubernetes_label(text: str, what: str) -> str:
    """The name of a Kubernetes namespace, or of a container."""
    return _matching(_KUBERNETES_LABEL, text, what, "lower-case letters, digits and -")


def kubernetes_name(text: str, what: str) -> str:
    """The name of a Kubernetes object."""
    return _matching(_KUBERNETES_NAME, text, what, "lower-case letters, digits, - and .")


def resource(text: str, what: str) -> str:
    """A folder or an address that kustomize takes for a resource."""
    return _matching(_RELATIVE, text, what, "a relative folder, or what kustomize can fetch")


def absolute_file(text: str, what: str) -> str:
    """The name of a file, from the root on."""
    return _matching(_ABSOLUTE, text, what, "an absolute path without blanks")


def platform_property(text: str) -> str:
    """`NAME=VALUE`, for actions to be matched with workers."""
    return _matching(_PROPERTY, text, "--platform-property", "NAME=VALUE, without blanks")


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
    """A number that is not below `smallest`."""
    if value < smallest:
        raise SetupInputUnusable(what, f"a number from {smallest} on")
    return value


def line(text: str, what: str) -> str:
    """One line of text."""
    return _matching(_LINE, text, what, "one line of text")


def _matching(pattern: re.Pattern[str], text: str, what: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise SetupInputUnusable(what, expected)
    return text
