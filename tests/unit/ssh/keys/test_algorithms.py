import pytest

from nix_remote.ssh.keys import algorithms
from nix_remote.ssh.keys.algorithms import Algorithms, assemble

DEFAULT, AVAILABLE = ("a1", "b1", "c1"), ("a1", "b1", "c1", "d1", "d2")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, DEFAULT),
        ("c1,a1", ("c1", "a1")),
        ("c1,unknown", ("c1",)),
        ("+d1", ("a1", "b1", "c1", "d1")),
        ("-b*", ("a1", "c1")),
        ("^c1,d2", ("c1", "d2", "a1", "b1")),
        ("+d*", ("a1", "b1", "c1", "d1", "d2")),
        ("unknown", ()),
    ],
)
def test_lists_of_algorithms(wanted: str, expected: tuple[str, ...]) -> None:
    assert assemble(wanted, DEFAULT, AVAILABLE) == expected


def test_a_key_exchange_has_two_names() -> None:
    chosen = algorithms.key_exchanges(Algorithms(key_exchanges="curve25519-sha256"))
    assert chosen == ("curve25519-sha256@libssh.org",)


def test_weak_ciphers_are_used_only_where_they_are_named() -> None:
    assert "aes128-cbc" not in algorithms.ciphers(Algorithms())
    assert algorithms.ciphers(Algorithms(ciphers="+aes128-cbc"))[-1] == "aes128-cbc"


def test_names_of_certificate_algorithms() -> None:
    certified = algorithms.certified_kind("rsa-sha2-512")
    assert certified == "rsa-sha2-512-cert-v01@openssh.com"
    assert algorithms.is_certificate(certified)
    assert not algorithms.is_certificate("rsa-sha2-512")
    assert algorithms.plain_kind(certified) == "rsa-sha2-512"
    assert algorithms.plain_kind("rsa-sha2-512") == "rsa-sha2-512"
