"""Verifies a server's host key as OpenSSH does, but without asking questions.

With `StrictHostKeyChecking ask`, an unknown key is refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Optional, Sequence

from nix_remote.errors import (
    HostKeyChanged,
    HostKeyError,
    HostKeyRevoked,
    HostKeyUnacceptable,
    HostKeyUnknown,
)
from nix_remote.ssh.config.host_config import HostConfig, HostKeyPolicy, on_port
from nix_remote.ssh.keys import algorithms, certificates, known_hosts
from nix_remote.ssh.keys.algorithms import Algorithms, is_certificate, plain_kind
from nix_remote.ssh.keys.certificates import BadCertificate, HostCertificate
from nix_remote.ssh.keys.known_hosts import Entry, Marker, Names, fingerprint

if TYPE_CHECKING:
    import paramiko

_STANDARD_PORT: Final = 22
_STRICT: Final = (HostKeyPolicy.YES, HostKeyPolicy.ASK)
_NEVER_RECORDED: Final = frozenset("@?*#[]|'\"\\")


def preferred(config: HostConfig) -> tuple[str, ...]:
    """The host key algorithms to offer, those first whose keys known_hosts can verify."""
    usable = algorithms.host_keys(config.algorithms)
    wanted = config.algorithms.host_keys
    if wanted is not None and wanted[0] not in "+-":
        return usable
    found = known_hosts.entries(config.known_hosts_files, config.known_hosts_name)
    known = {entry.kind for entry in found if entry.marker is Marker.KNOWN}
    if usable and _key_kind(usable[0]) in known:
        return usable
    by_authority = any(entry.marker is Marker.AUTHORITY for entry in found)

    def verifiable(kind: str) -> bool:
        return (by_authority and is_certificate(kind)) or _key_kind(kind) in known

    return tuple(sorted(usable, key=lambda kind: not verifiable(kind)))


def _key_kind(algorithm: str) -> str:
    """The key type that an algorithm needs: an RSA key has several."""
    plain = plain_kind(algorithm)
    return "ssh-rsa" if plain.startswith("rsa-") else plain


def needs_openssh(config: HostConfig) -> str:
    """Why the `ssh` program may accept a server whose key is refused here; empty if it does not.

    It may if known_hosts has a host key or an authority's key of a type that paramiko lacks, or
    if HostKeyAlgorithms names such an algorithm.
    """
    names = algorithms.unavailable_host_keys(config.algorithms)
    found = known_hosts.entries(config.known_hosts_files, config.known_hosts_name)
    kinds = {entry.kind for entry in found if entry.marker is not Marker.REVOKED}
    kinds -= {_key_kind(kind) for kind in algorithms.host_keys(Algorithms())}
    reasons = [f"HostKeyAlgorithms {name}" for name in names]
    reasons += [f"a {kind} key in known_hosts" for kind in sorted(kinds)]
    return f"needed for {'; '.join(reasons)}" if reasons else ""


def check(config: HostConfig, offered: paramiko.PKey, ip: Optional[str]) -> str:
    """Verifies the key that the server presented, as far as the config demands.

    `ip` is the server's address, if it is known. Returns what was accepted without verification,
    in words; empty if the key is known. Raises `HostKeyError`.
    """
    if config.trust_localhost and config.host_key_alias is None and _is_loopback(ip):
        return "its host key not verified, because it is this machine"
    bits = offered.get_bits()
    if offered.get_name() == "ssh-rsa" and bits < config.required_rsa_size:
        why = f"it is an RSA key of {bits} bits, and RequiredRSASize is {config.required_rsa_size}"
        raise HostKeyUnacceptable(config.alias, why)
    certificate = None
    if offered.public_blob is not None and is_certificate(offered.public_blob.key_type):
        try:
            certificate = certificates.parse(offered.public_blob.key_blob)
        except BadCertificate as error:
            raise HostKeyUnacceptable(config.alias, f"invalid certificate: {error}") from None
    verification = _Verification(config, offered, certificate, ip)
    refusal = verification.verify(config.port)
    if refusal is not None:
        raise refusal
    return "; ".join(verification.notes)


def _is_loopback(ip: Optional[str]) -> bool:
    return ip is not None and (ip.startswith("127.") or ip == "::1")


@dataclass(frozen=True)
class _Verification:
    """Verifies a key. Methods that return a `HostKeyError` return None if they accept the key."""

    config: HostConfig
    offered: paramiko.PKey
    certificate: Optional[HostCertificate]
    ip: Optional[str]
    notes: list[str] = field(default_factory=list)
    """What was accepted without verification, in words."""

    def verify(self, port: int, *, only_known: bool = False) -> Optional[HostKeyError]:
        """With `only_known`, accepts known keys only, regardless of the policy."""
        name = self.config.host_key_alias or on_port(self.config.hostname.lower(), port)
        found = known_hosts.entries(self.config.known_hosts_files, name)
        about_certificate = ""
        if self.certificate is not None:
            refusal = self._by_authority(self.certificate, found, name, port)
            if refusal is None or isinstance(refusal, HostKeyRevoked):
                return refusal
            about_certificate = f" (and {refusal.why})"
        plain = {
            _key_kind(kind)
            for kind in algorithms.host_keys(self.config.algorithms)
            if not is_certificate(kind)
        }
        if self.offered.get_name() not in plain:
            why = f"HostKeyAlgorithms does not allow {self.offered.get_name()}{about_certificate}"
            return HostKeyUnacceptable(self.config.alias, why)
        return self._by_key(found, name, port, about_certificate, only_known=only_known)

    def _by_authority(
        self, certificate: HostCertificate, found: Sequence[Entry], name: str, port: int
    ) -> Optional[HostKeyError]:
        revoked = _entry_with(found, Marker.REVOKED, self._key, certificate.authority)
        if revoked is not None:
            return self._unless_off(self._revoked(revoked))
        if _entry_with(found, Marker.AUTHORITY, certificate.authority) is None:
            if self._is_known_without_port(port):
                return None
            problem = "known_hosts does not list that authority"
        else:
            host = self.config.host_key_alias or self.config.hostname.lower()
            allowed = algorithms.certificate_authorities(self.config.algorithms)
            problem = certificate.problem(host, time.time(), allowed)
            if not problem:
                return None
        signer = fingerprint(certificate.authority)
        why = f"it has a certificate for {name} by {signer}: {problem}"
        return HostKeyUnacceptable(self.config.alias, why)

    def _by_key(
        self,
        found: Sequence[Entry],
        name: str,
        port: int,
        about_certificate: str,
        *,
        only_known: bool,
    ) -> Optional[HostKeyError]:
        revoked = _entry_with(found, Marker.REVOKED, self._key)
        if revoked is not None:
            return self._unless_off(self._revoked(revoked))
        other = [entry for entry in found if entry.marker is Marker.KNOWN]
        if _entry_with(other, Marker.KNOWN, self._key) is not None:
            return self._by_ip(port)
        if other:
            changed = self._changed(name, other[-1])
            return changed if only_known else self._unless_off(changed)
        if self._is_known_without_port(port):
            return None
        files = " or ".join(str(file) for file in self.config.known_hosts_files) or "no file"
        unknown = HostKeyUnknown(self.config.alias, name, self._shown + about_certificate, files)
        if only_known or not self._may_record():
            return unknown
        refusal = self._by_ip(port)
        if refusal is None:
            self._record(name, port)
        return refusal

    def _is_known_without_port(self, port: int) -> bool:
        """Whether the key is known for the host name without the port, which OpenSSH accepts."""
        if port == _STANDARD_PORT or self.config.host_key_alias is not None:
            return False
        return self.verify(_STANDARD_PORT, only_known=True) is None

    def _may_record(self) -> bool:
        return (
            self.config.host_key_policy not in _STRICT
            and bool(self.config.user_known_hosts_files)
            and _NEVER_RECORDED.isdisjoint(self.config.hostname)
        )

    def _by_ip(self, port: int) -> Optional[HostKeyError]:
        """`CheckHostIP`: refuses the key if known_hosts has another one for the address."""
        if not self._checks_ip():
            return None
        assert self.ip is not None
        name = on_port(self.ip, port)
        found = known_hosts.entries(self.config.known_hosts_files, name)
        revoked = _entry_with(found, Marker.REVOKED, self._key)
        other = [entry for entry in found if entry.marker is Marker.KNOWN]
        if revoked is not None or not other:
            return None
        if _entry_with(other, Marker.KNOWN, self._key) is not None:
            return None
        return self._unless_off(self._changed(name, other[-1]))

    def _checks_ip(self) -> bool:
        proxied = self.config.jump is not None or self.config.proxy_command is not None
        return (
            self.config.check_host_ip
            and self.ip is not None
            and self.ip != self.config.hostname
            and not proxied
            and not _is_loopback(self.ip)
        )

    def _record(self, name: str, port: int) -> None:
        file = self.config.user_known_hosts_files[0]
        names = (name, on_port(self.ip, port)) if self.ip and self._checks_ip() else (name,)
        how = Names.HASHED if self.config.hash_known_hosts else Names.PLAIN
        try:
            known_hosts.record(file, names, self._key, how)
            self.notes.append(f"its host key {self._shown} added to {file}")
        except OSError as error:
            self.notes.append(f"its host key {self._shown} not recorded ({file}: {error.strerror})")

    def _unless_off(self, refusal: HostKeyError) -> Optional[HostKeyError]:
        if self.config.host_key_policy is not HostKeyPolicy.NO:
            return refusal
        self.notes.append(f"accepted because of StrictHostKeyChecking no: {refusal.what}")
        return None

    def _revoked(self, entry: Entry) -> HostKeyRevoked:
        return HostKeyRevoked(self.config.alias, self._shown, entry.place)

    def _changed(self, name: str, entry: Entry) -> HostKeyChanged:
        expected = fingerprint(entry.key)
        return HostKeyChanged(
            self.config.alias, name, self._shown, expected, str(entry.file), entry.line
        )

    @property
    def _key(self) -> bytes:
        return self.offered.asbytes()

    @property
    def _shown(self) -> str:
        """The fingerprint, for messages."""
        return fingerprint(self._key)


def _entry_with(found: Sequence[Entry], marker: Marker, *keys: bytes) -> Optional[Entry]:
    for entry in found:
        if entry.marker is marker and entry.key in keys:
            return entry
    return None
