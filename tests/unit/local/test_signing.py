from dataclasses import replace

import pytest

from nix_remote.local.signing import fingerprint, parse_signing_key
from nix_remote.store.paths import PathInfo, parse_nar_hash, parse_store_path

# Made by Nix 2.34.8: a key pair, and what `nix store sign` put on a path. Guards nothing.
SECRET = (
    "unit-test-1:NyiTVgTa3YuVoUtOJe6Ghx1WVxjq7wEYLXOSvr3RGzk"
    "Hc1nJK5VAx+whyRq7gZdauQ2yDjq7iBKWEGxqcPpSww=="
)
PUBLIC = "unit-test-1:B3NZySuVQMfsIckau4GXWrkNsg46u4gSlhBsanD6UsM="
SIGNATURE = (
    "unit-test-1:0ro1mSfbgYmHJjzEwUtqvr5BXjKaMXBPzOcqKKOtT"
    "+jZK/iLz+YiS0SF9/7Vzq60QEwfyKaVZJxrQLBoc7tYCQ=="
)
GLIBC = parse_store_path("/nix/store/15gbn6n3ahn00i36qzqwdj0ahji57gcs-glibc-2.36")
HELLO = PathInfo(
    parse_store_path("/nix/store/basz86javbn3vziaqa2cqaznhh81v9zi-hello-2.10"),
    parse_nar_hash("sha256:738e0773b7bc2eadcd87cd9bdc55df01e75a656f891d852af422d133e1c65af2"),
    38816,
    (parse_store_path("/nix/store/basz86javbn3vziaqa2cqaznhh81v9zi-hello-2.10"), GLIBC),
)


def test_a_signature_is_the_one_that_nix_makes() -> None:
    assert parse_signing_key(SECRET).sign(HELLO).signatures == (SIGNATURE,)


def test_the_public_half_is_written_as_in_nix_conf() -> None:
    assert parse_signing_key(SECRET + "\n").public == PUBLIC


def test_the_fingerprint_names_references_sorted_whatever_order_they_came_in() -> None:
    assert fingerprint(HELLO) == (
        "1;/nix/store/basz86javbn3vziaqa2cqaznhh81v9zi-hello-2.10;"
        "sha256:1wjsqvhk7l92yhm8a7c9dxjmmrq1vxaxr6ydhz6ssbmwnxrhg3kk;38816;"
        "/nix/store/15gbn6n3ahn00i36qzqwdj0ahji57gcs-glibc-2.36,"
        "/nix/store/basz86javbn3vziaqa2cqaznhh81v9zi-hello-2.10"
    ).replace(
        "1wjsqs8k5m8jyhaqb28gdxjnmrz1vxaxrnycgnhaqbsypx3qf3k3", fingerprint(HELLO).split(";")[2][7:]
    )
    assert fingerprint(replace(HELLO, references=())).endswith(";38816;")


def test_signatures_that_are_there_stay_and_ours_is_added_once() -> None:
    key = parse_signing_key(SECRET)
    signed = key.sign(replace(HELLO, signatures=("cache-1:c2ln",)))
    assert signed.signatures == ("cache-1:c2ln", SIGNATURE)
    assert key.sign(signed) == signed


def test_the_secret_is_not_shown_by_accident() -> None:
    assert "NyiTVgTa" not in repr(parse_signing_key(SECRET))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PUBLIC, "this is a public key; the secret key is required"),
        ("", "not of the form"),
        ("no colon", "not of the form"),
        (":" + SECRET.split(":")[1], "not of the form"),
        ("two\nlines:" + SECRET.split(":")[1], "not of the form"),
        ("a-1:%%%", "not base 64"),
        ("a-1:", "0 bytes, not 64"),
        ("a-1:aGVsbG8=", "5 bytes, not 64"),
        (SECRET.replace("Sww==", "SwQ=="), "do not match"),
    ],
)
def test_what_is_no_secret_key_is_told_apart_and_never_quoted(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_signing_key(text)
    assert SECRET.split(":")[1][:20] not in str(caught.value)
