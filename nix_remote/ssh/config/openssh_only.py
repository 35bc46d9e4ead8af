"""The parts of a configuration that only the `ssh` program supports."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Optional

from nix_remote.ssh.config.lookup import Lookup
from nix_remote.ssh.keys import algorithms
from nix_remote.ssh.keys.algorithms import Algorithms
from nix_remote.ssh.keys.key_files import is_security_key


def reasons(
    found: Lookup,
    chosen: Algorithms,
    identity_files: tuple[Path, ...],
    control_path: Optional[Path],
) -> tuple[str, ...]:
    """Reasons why paramiko does not support this configuration; empty if it does."""
    return (
        *found.openssh_only,
        *_directives(found),
        *_login_methods(found),
        *_algorithms(chosen),
        *(f"{path} is a FIDO key" for path in identity_files if is_security_key(path)),
        *((f"{control_path} is an open connection",) if _is_open(control_path) else ()),
    )


def _directives(found: Lookup) -> Iterator[str]:
    for directive, name in (
        ("pkcs11provider", "PKCS11Provider"),
        ("securitykeyprovider", "SecurityKeyProvider"),
        ("knownhostscommand", "KnownHostsCommand"),
    ):
        text = found.text(directive)
        if text is not None and text.lower() != "none":
            yield f"{name} {text}"
    if found.words("revokedhostkeys"):
        yield "RevokedHostKeys"
    if found.values.get("verifyhostkeydns") == "yes":
        yield "VerifyHostKeyDNS yes"
    if found.is_on("proxyusefdpass"):
        yield "ProxyUseFdpass yes"


def _login_methods(found: Lookup) -> Iterator[str]:
    # Some systems enable GSSAPI for all users, with and without tickets: only the user's own
    # config counts.
    if found.is_on("gssapiauthentication") and "gssapiauthentication" in found.origins:
        yield "GSSAPIAuthentication yes"
    if found.is_on("hostbasedauthentication"):
        yield "HostbasedAuthentication yes"
    if not found.is_on("pubkeyauthentication", default=True):
        yield "PubkeyAuthentication no"
    preferred = found.text("preferredauthentications")
    if preferred is not None and "publickey" not in preferred.split(","):
        yield f"PreferredAuthentications {preferred}"


def _algorithms(chosen: Algorithms) -> Iterator[str]:
    for name, wanted, usable in (
        ("Ciphers", chosen.ciphers, algorithms.ciphers(chosen)),
        ("KexAlgorithms", chosen.key_exchanges, algorithms.key_exchanges(chosen)),
        ("MACs", chosen.macs, algorithms.macs(chosen)),
        ("HostKeyAlgorithms", chosen.host_keys, algorithms.host_keys(chosen)),
        ("PubkeyAcceptedAlgorithms", chosen.user_keys, algorithms.user_keys(chosen)),
    ):
        if not usable:
            yield f"{name} {wanted}"


def _is_open(control_path: Optional[Path]) -> bool:
    try:
        return control_path is not None and control_path.is_socket()
    except OSError:
        return False
