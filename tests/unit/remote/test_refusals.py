import pytest

from nix_remote.errors import (
    PathContentChanged,
    PathRefused,
    ServerDiskFull,
    ServerEndedSession,
    ServerQuotaExceeded,
    ServerStoreReadOnly,
    SignatureRequired,
)
from nix_remote.remote.refusals import Account, ReferenceVanished, meaning
from nix_remote.wire.types import PathInfo
from tests.support.paths import info, path

ACCOUNT = Account("server", "me")
GLIBC = path("glibc")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("cannot add path 'x' because it lacks a signature by a trusted key", SignatureRequired),
        ("cannot add path 'x' because it lacks a valid signature", SignatureRequired),
        ("hash mismatch importing path 'x'", PathContentChanged),
        ("size mismatch importing path 'x'", PathContentChanged),
        (f"path '{GLIBC}' is not valid", ReferenceVanished),
        ("writing to file: No space left on device", ServerDiskFull),
        ("executing SQLite statement: database or disk is full (in ...)", ServerDiskFull),
        ("writing to file: Disk quota exceeded", ServerQuotaExceeded),
        ("attempt to write a readonly database (in ...)", ServerStoreReadOnly),
        ("creating file: Read-only file system", ServerStoreReadOnly),
        ("Nix daemon disconnected unexpectedly (maybe it crashed?)", ServerEndedSession),
        ("error: reading 8192 bytes: Connection reset by peer", ServerEndedSession),
        ("something that no version has said so far", PathRefused),
    ],
)
def test_the_servers_words_are_told_apart(message: str, expected: type[Exception]) -> None:
    error = meaning(message, ACCOUNT, info("glibc"))
    assert type(error) is expected
    if isinstance(error, PathRefused):
        assert message in error.why


def test_a_refused_signature_is_told_with_the_name_of_its_key() -> None:
    signed = PathInfo(GLIBC, info("glibc").nar_hash, 1, signatures=("cache-1:c2ln", "me-1:c2ln"))
    error = meaning("cannot add path 'x' because it lacks a valid signature", ACCOUNT, signed)
    assert isinstance(error, SignatureRequired)
    assert "signed by cache-1, me-1, whom it does not trust" in error.why
