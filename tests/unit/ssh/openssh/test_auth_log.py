"""Logs of `ssh` about keys, recorded from OpenSSH 10.6; of 9.2 and 10.0 where they differ."""

import pytest

from nix_remote.ssh.openssh import auth_log

OFFERED = "debug1: Offering public key: /k/id ED25519{} SHA256:F2bqHqhVWgPJSRk6 {}\n"
ACCEPTED = "debug1: Server accepts key: /k/id ED25519 SHA256:F2bqHqhVWgPJSRk6 explicit\n"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", []),
        (OFFERED.format("", "explicit"), ["/k/id"]),
        (OFFERED.format("", "agent"), ["/k/id from the SSH agent"]),
        (OFFERED.format("-CERT", "explicit"), ["/k/id with its certificate"]),
        (
            OFFERED.format("", "explicit") + ACCEPTED,
            ["/k/id (needs a passphrase and is not in the SSH agent)"],
        ),
        (
            "debug1: Offering public key: /k/sk ED25519-SK SHA256:F2bqHqhVWgPJSRk6 explicit\n"
            "debug1: Server accepts key: /k/sk ED25519-SK SHA256:F2bqHqhVWgPJSRk6 explicit\n"
            'sign_and_send_pubkey: signing failed for ED25519-SK "/k/sk": device not found\r\n',
            ["/k/sk (device not found)"],
        ),
        (
            "debug1: Skipping ssh-rsa key /k/rsa - corresponding algorithm not in "
            "PubkeyAcceptedAlgorithms\n",
            ["/k/rsa (not used: PubkeyAcceptedAlgorithms forbids it)"],
        ),
        (  # OpenSSH 9.2
            "debug1: Skipping ssh-rsa key /k/rsa - corresponding algo not in "
            "PubkeyAcceptedAlgorithms\n",
            ["/k/rsa (not used: PubkeyAcceptedAlgorithms forbids it)"],
        ),
        (
            "pin required\n"
            'debug1: pkcs11_provider_finalize: provider "/l/card.so" refcount 1 valid 1\n'
            "debug1: pkcs11_add_provider: provider /l/card.so returned no keys\n",
            ["/l/card.so (needs a PIN and is not in the SSH agent)"],
        ),
        (
            "lib_contains_symbol: open /l/no.so: No such file or directory\n"
            "provider /l/no.so is not a PKCS11 library\n",
            ["/l/no.so is not a PKCS11 library"],
        ),
        (
            "debug1: No Kerberos credentials available (default cache: FILE:/tmp/krb5cc_0)\n" * 2,
            ["Kerberos (No Kerberos credentials available (default cache: FILE:/tmp/krb5cc_0))"],
        ),
    ],
)
def test_each_key_is_reported_with_the_reason(said: str, words: list[str]) -> None:
    assert auth_log.tried(said) == words


def test_the_arguments_of_ssh_add() -> None:
    locked = OFFERED.format("", "explicit") + ACCEPTED
    assert auth_log.to_unlock(locked) == "/k/id"
    card = "pin required\ndebug1: pkcs11_add_provider: provider /l/card.so returned no keys\n"
    assert auth_log.to_unlock(card) == "-s /l/card.so"
    assert auth_log.to_unlock(OFFERED.format("", "explicit")) == ""
