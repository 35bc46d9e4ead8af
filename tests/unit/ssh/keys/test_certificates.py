"""Certificates that the tests make; `tests/integration` has those of ssh-keygen."""

from __future__ import annotations

from dataclasses import dataclass, field

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.ssh.keys import certificates
from nix_remote.ssh.keys.certificates import BadCertificate

AUTHORITY = paramiko.ECDSAKey.generate()
ALGORITHMS = ("ecdsa-sha2-nistp256",)


def text(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


@dataclass(frozen=True)
class Recipe:
    kind: bytes = b"ssh-ed25519-cert-v01@openssh.com"
    for_hosts: int = 2
    principals: tuple[bytes, ...] = (b"nix.example.org", b"*.lab")
    valid: tuple[int, int] = (1000, 2000)
    critical: bytes = b""
    signer: paramiko.PKey = field(default=AUTHORITY)

    def make(self) -> bytes:
        body = b"".join(
            [
                *(text(self.kind), text(b"nonce"), text(bytes(32)), (7).to_bytes(8, "big")),
                *(self.for_hosts.to_bytes(4, "big"), text(b"id")),
                text(b"".join(text(name) for name in self.principals)),
                *(limit.to_bytes(8, "big") for limit in self.valid),
                *(text(self.critical), text(b""), text(b""), text(AUTHORITY.asbytes())),
            ]
        )
        signature = self.signer.sign_ssh_data(body)
        return body + text(signature.asbytes())


def test_a_good_certificate_has_no_problem() -> None:
    found = certificates.parse(Recipe().make())
    assert found.authority == AUTHORITY.asbytes()
    assert found.problem("nix.example.org", 1500, ALGORITHMS) == ""
    assert found.problem("a.lab", 1500, ALGORITHMS) == ""


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        (Recipe(for_hosts=1), "not a host certificate"),
        (Recipe(valid=(1501, 2000)), "not valid yet"),
        (Recipe(valid=(1000, 1500)), "has expired"),
        (Recipe(principals=(b"other",)), "it is for other, not for nix.example.org"),
        (Recipe(principals=()), "it is for no host"),
        (Recipe(critical=text(b"x") + text(b"")), "critical option"),
    ],
)
def test_a_certificate_that_is_not_valid_for_the_host(recipe: Recipe, problem: str) -> None:
    assert problem in certificates.parse(recipe.make()).problem("nix.example.org", 1500, ALGORITHMS)


def test_an_algorithm_that_is_not_allowed() -> None:
    found = certificates.parse(Recipe().make())
    assert "CASignatureAlgorithms" in found.problem("nix.example.org", 1500, ("rsa-sha2-512",))


def test_another_signature_is_refused() -> None:
    with pytest.raises(BadCertificate, match="signature is invalid"):
        certificates.parse(Recipe(signer=paramiko.ECDSAKey.generate()).make())


def test_an_unknown_key_type_is_refused() -> None:
    with pytest.raises(BadCertificate, match="unknown key type"):
        certificates.parse(Recipe(kind=b"ssh-new-cert").make())


@given(st.integers(0, 400), st.binary(max_size=8))
def test_a_damaged_certificate_is_refused(at: int, garbage: bytes) -> None:
    good = Recipe().make()
    damaged = good[:at] + garbage
    if not good.startswith(damaged) or len(damaged) < len(good):
        with pytest.raises(BadCertificate):
            certificates.parse(damaged)
