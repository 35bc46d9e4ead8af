from typing import Optional

import pytest

from lab.implementations.releases import REPLAYED, Sentence, sentences
from nix_remote.copy.retry import RetryPolicy
from nix_remote.errors import (
    AccountNotAllowed,
    ContentAddressRefused,
    DaemonNotReached,
    DaemonSocketClosed,
    NameTooLong,
    PathContentChanged,
    PathRefused,
    PathTooDeep,
    ServerDiskFull,
    ServerEndedSession,
    ServerQuotaExceeded,
    ServerStoreReadOnly,
    SignatureRequired,
    TransferError,
)
from nix_remote.protocol.implementations import Implementation
from nix_remote.protocol.nix_messages import Meaning
from nix_remote.server.nix_errors import Account, ReferenceVanished, opening_error, path_error
from nix_remote.store.paths import PathInfo
from tests.support.paths import info, path

ACCOUNT = Account("server", "me")
GLIBC = path("glibc")
HELLO = path("hello")


EXPECTED = {
    Meaning.SIGNATURE_LACKING: SignatureRequired,
    Meaning.NOT_VALID: ReferenceVanished,
    Meaning.OTHER_CONTENT_ADDRESS: ContentAddressRefused,
    Meaning.OTHER_CONTENT: PathContentChanged,
    Meaning.TOO_DEEP: PathTooDeep,
    Meaning.NAME_TOO_LONG: NameTooLong,
    Meaning.ENDED: ServerEndedSession,
    Meaning.DISK_FULL: ServerDiskFull,
    Meaning.QUOTA_EXCEEDED: ServerQuotaExceeded,
    Meaning.READ_ONLY: ServerStoreReadOnly,
    Meaning.DAEMON_ENDED: ServerEndedSession,
}
OPENING_A_SESSION = {
    Meaning.SOCKET_CLOSED: DaemonSocketClosed,
    Meaning.NO_DAEMON: type(None),
    Meaning.NOT_REACHED: DaemonNotReached,
    Meaning.NOT_ALLOWED: AccountNotAllowed,
}


def spoken(sentence: Sentence) -> str:
    named = sentence.text.replace("PATH", HELLO).replace("OTHER", GLIBC)
    return named.replace("USER", ACCOUNT.user)


@pytest.mark.parametrize("release", REPLAYED, ids=str)
@pytest.mark.parametrize("prefix", ["", "error: "], ids=["worker", "serve"])
def test_the_words_of_every_release_are_told_apart(release: Implementation, prefix: str) -> None:
    for sentence in sentences(release):
        message = prefix + spoken(sentence)
        if sentence.meaning in OPENING_A_SESSION:
            expected = OPENING_A_SESSION[sentence.meaning]
            assert type(opening_error(message, ACCOUNT)) is expected, message
            continue
        error = path_error(message, ACCOUNT, info("hello"))
        assert type(error) is EXPECTED[sentence.meaning], message
        if isinstance(error, TransferError):
            assert message in error.why
        if isinstance(error, (PathTooDeep, NameTooLong, ContentAddressRefused)):
            assert HELLO in error.what


@pytest.mark.parametrize("release", REPLAYED, ids=str)
def test_every_release_has_words_for_every_meaning(release: Implementation) -> None:
    message = {sentence.meaning for sentence in sentences(release)}
    by_few = {Meaning.TOO_DEEP, Meaning.SOCKET_CLOSED, Meaning.NO_DAEMON, Meaning.NOT_REACHED}
    # Lix 2.94 ends without a word when the daemon hangs up between two requests.
    assert set(Meaning) - message <= by_few
    assert message & {Meaning.SOCKET_CLOSED, Meaning.NOT_REACHED}


def test_words_that_no_release_has_are_quoted() -> None:
    message = "something that no version has said so far"
    error = path_error(message, ACCOUNT, info("hello"))
    assert type(error) is PathRefused
    assert HELLO in error.what
    assert message in error.why


def test_a_daemon_that_is_not_reached_is_tried_again() -> None:
    message = "error: could not connect to any lix socket (tried /nix/var/nix/daemon-socket/socket)"
    error = opening_error(message, ACCOUNT)
    assert isinstance(error, DaemonNotReached)
    assert RetryPolicy().delay(error, 1) is not None
    assert "systemctl status nix-daemon.socket" in error.fix
    assert "usermod --append --groups GROUP me" in error.fix
    assert message in error.why


def test_a_content_address_that_nix_computes_differently_is_not_a_change_here() -> None:
    error = path_error("ca hash mismatch importing path 'x'", ACCOUNT, info("hello"))
    assert isinstance(error, ContentAddressRefused)
    assert "nothing has changed on this machine" in error.why


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("error: unexpected EOF from daemon socket", AccountNotAllowed),
        (
            "error: splicing data from daemon socket to stdout: Connection reset by peer",
            AccountNotAllowed,
        ),
        (
            "error: cannot open connection to remote store 'daemon': error: reading from file:"
            " Connection reset by peer",
            AccountNotAllowed,
        ),
        ("error: Nix daemon disconnected unexpectedly (maybe it crashed?)", AccountNotAllowed),
        ("error: user 'me' is not allowed to connect to the Nix daemon", AccountNotAllowed),
        (
            "error: cannot open connection to remote store 'daemon': error: cannot connect to"
            " socket at '/nix/var/nix/daemon-socket/socket': Permission denied",
            DaemonSocketClosed,
        ),
        (
            "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket':"
            " Connection refused",
            None,
        ),
        ("nix-remote-dispatcher: this account may not run that", None),
        ("", None),
    ],
)
def test_why_a_daemon_hangs_up_before_the_session_begins(
    message: str, expected: Optional[type[Exception]]
) -> None:
    error = opening_error(message, ACCOUNT)
    assert (type(error) if error else None) is expected
    if error is not None:
        assert "account me" in error.what
        assert message in error.why
    if isinstance(error, AccountNotAllowed):
        assert "allowed-users" in error.why
        assert "add me to allowed-users" in error.fix
    if isinstance(error, DaemonSocketClosed):
        assert "usermod --append --groups nix-users me" in error.fix


def test_a_refused_signature_is_told_with_the_name_of_its_key() -> None:
    signed = PathInfo(GLIBC, info("glibc").nar_hash, 1, signatures=("cache-1:c2ln", "me-1:c2ln"))
    error = path_error("cannot add path 'x' because it lacks a valid signature", ACCOUNT, signed)
    assert isinstance(error, SignatureRequired)
    assert "signed by cache-1, me-1, a key that it does not trust" in error.why
