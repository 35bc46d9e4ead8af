from typing import Optional

import pytest

from nix_remote.errors import (
    AccountNotAllowed,
    ContentAddressRefused,
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
from nix_remote.remote.refusals import Account, ReferenceVanished, meaning, turned_away
from nix_remote.wire.types import PathInfo
from tests.support.paths import info, path

ACCOUNT = Account("server", "me")
GLIBC = path("glibc")
HELLO = path("hello")


# What each implementation says when a path is added, without its colours.
OF_ALL = [
    ("hash mismatch importing path '{path}';\n  specified: a\n  got: b", PathContentChanged),
    ("size mismatch importing path '{path}';\n  specified: 1\n  got: 2", PathContentChanged),
    (
        "ca hash mismatch importing path '{path}';\n  specified: a\n  got: b",
        ContentAddressRefused,
    ),
    (
        "cannot add path '{path}' to the Nix store because it claims to be content-addressed"
        " but isn't",
        ContentAddressRefused,
    ),
    ("creating directory '{path}/d': File name too long", NameTooLong),
    ("writing to file: No space left on device", ServerDiskFull),
    ("executing SQLite statement: database or disk is full (in ...)", ServerDiskFull),
    ("writing to file: Disk quota exceeded", ServerQuotaExceeded),
    ("attempt to write a readonly database (in ...)", ServerStoreReadOnly),
    ("creating file: Read-only file system", ServerStoreReadOnly),
    ("Nix database directory '/nix/var/nix/db' is not writable: x", ServerStoreReadOnly),
    ("Nix daemon disconnected unexpectedly (maybe it crashed?)", ServerEndedSession),
    ("error: reading 8192 bytes: Connection reset by peer", ServerEndedSession),
    ("unexpected end-of-file", ServerEndedSession),
    ("something that no version has said so far", PathRefused),
]
INVALID = ("path '{glibc}' is not valid", ReferenceVanished)
BY_A_KEY = (
    "cannot add path '{path}' because it lacks a signature by a trusted key",
    SignatureRequired,
)
SPLICED = (
    "splicing data from daemon socket to stdout: Connection reset by peer",
    ServerEndedSession,
)
TOO_DEEP = [
    ("bad archive: NAR directory nesting exceeds maximum depth of 64", PathTooDeep),
    ("path '{path}' exceeds maximum NAR directory depth of 64", PathTooDeep),
]
INVALID_NAME = ("bad archive: NAR contains invalid file name 'xxxx'", NameTooLong)
SAID = {
    "Nix 2.4 to 2.7": [
        INVALID,
        ("cannot add path '{path}' because it lacks a valid signature", SignatureRequired),
        SPLICED,
    ],
    "Nix 2.8 to 2.19": [INVALID, BY_A_KEY, SPLICED, INVALID_NAME],
    "Nix 2.20 to 2.34.6": [INVALID, BY_A_KEY, INVALID_NAME],
    "Nix 2.34.7 to 2.36": [INVALID, BY_A_KEY, INVALID_NAME, *TOO_DEEP],
    "Lix 2.90": [INVALID, BY_A_KEY, SPLICED],
    "Lix 2.91 to 2.96": [
        ("path '{glibc}' does not exist in the Lix database", ReferenceVanished),
        BY_A_KEY,
        ("peer disconnected unexpectedly", ServerEndedSession),
        ("NAR contains invalid file name 'xxxx'", NameTooLong),
    ],
}


@pytest.mark.parametrize(
    ("implementation", "message", "expected"),
    [(implementation, *row) for implementation, own in SAID.items() for row in (*OF_ALL, *own)],
)
@pytest.mark.parametrize("prefix", ["", "error: "], ids=["worker", "serve"])
def test_the_servers_words_are_told_apart(
    implementation: str, message: str, expected: type[Exception], prefix: str
) -> None:
    said = prefix + message.format(path=HELLO, glibc=GLIBC)
    error = meaning(said, ACCOUNT, info("hello"))
    assert type(error) is expected, implementation
    if isinstance(error, TransferError):
        assert said in error.why
    if isinstance(error, (PathRefused, PathTooDeep, NameTooLong, ContentAddressRefused)):
        assert HELLO in error.what


def test_a_content_address_that_nix_computes_differently_is_not_a_change_here() -> None:
    error = meaning("ca hash mismatch importing path 'x'", ACCOUNT, info("hello"))
    assert isinstance(error, ContentAddressRefused)
    assert "nothing has changed on this machine" in error.why


@pytest.mark.parametrize(
    ("said", "expected"),
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
    said: str, expected: Optional[type[Exception]]
) -> None:
    error = turned_away(said, ACCOUNT)
    assert (type(error) if error else None) is expected
    if error is not None:
        assert "account me" in error.what
        assert said in error.why
    if isinstance(error, AccountNotAllowed):
        assert "allowed-users" in error.why
        assert "add me to the line of allowed-users" in error.fix
    if isinstance(error, DaemonSocketClosed):
        assert "usermod --append --groups nix-users me" in error.fix


def test_a_refused_signature_is_told_with_the_name_of_its_key() -> None:
    signed = PathInfo(GLIBC, info("glibc").nar_hash, 1, signatures=("cache-1:c2ln", "me-1:c2ln"))
    error = meaning("cannot add path 'x' because it lacks a valid signature", ACCOUNT, signed)
    assert isinstance(error, SignatureRequired)
    assert "signed by cache-1, me-1, whom it does not trust" in error.why
