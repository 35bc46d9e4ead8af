"""`CanonicalizeHostname`: the fully qualified name of a host."""

from __future__ import annotations

import re
import socket
from typing import Optional

from nix_remote.ssh import patterns
from nix_remote.ssh.config.lookup import Lookup


def canonical_name(host: str, found: Lookup, *, proxied: bool) -> str:
    """The name to connect to instead of `host`, as in OpenSSH.

    Always normalises addresses (`127.1` is `127.0.0.1`) and the case of names; resolves aliases
    and short names only if the config says so. Raises `ValueError`.
    """
    address = _address(host)
    if address is not None:
        return host if host.lower() == address else address
    if not re.search(r"[^0-9.]", host) or ":" in host or "%" in host:
        return host
    host = host.lower()
    wanted = found.text("canonicalizehostname") or "no"
    if wanted == "no" or (proxied and wanted != "always"):
        return host
    if host.endswith("."):
        candidates = [host]
    elif host.count(".") > found.number("canonicalizemaxdots", 1):
        return _canonical_or_same(host, found)
    else:
        candidates = [f"{host}.{domain}." for domain in found.words("canonicaldomains") or ()]
    for candidate in candidates:
        alias = _alias(candidate)
        if alias is not None:
            return _following_alias(candidate.rstrip("."), alias, found)
    if not found.is_on("canonicalizefallbacklocal", default=True):
        raise ValueError(f"CanonicalizeHostname: {host} is in none of CanonicalDomains")
    return _canonical_or_same(host, found)


def _canonical_or_same(host: str, found: Lookup) -> str:
    """The canonical name of a host if the config permits it; otherwise its name."""
    permitted = found.words("canonicalizepermittedcnames")
    return _following_alias(host, _alias(host), found) if permitted else host


def _address(host: str) -> Optional[str]:
    try:
        found = socket.getaddrinfo(
            host, 22, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
        return socket.getnameinfo(found[0][4], socket.NI_NUMERICHOST)[0] if found else None
    except (OSError, UnicodeError):
        return None


def _alias(name: str) -> Optional[str]:
    """The canonical name of a host in the DNS; None if the host does not exist."""
    try:
        found = socket.getaddrinfo(name, 22, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except (OSError, UnicodeError):
        return None
    return found[0][3].lower().rstrip(".")


def _following_alias(name: str, alias: Optional[str], found: Lookup) -> str:
    for rule in found.words("canonicalizepermittedcnames") or ():
        sources, _, targets = rule.partition(":")
        if rule == "*":
            sources = targets = "*"
        if (
            alias
            and patterns.host_matches_list(name, sources)
            and patterns.host_matches_list(alias, targets)
        ):
            return alias
    return name
