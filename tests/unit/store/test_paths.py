import pytest

from nix_remote.store.paths import (
    base_name,
    format_nar_hash,
    package_name,
    parse_nar_hash,
    parse_store_path,
)

HELLO = "/nix/store/basz86javbn3vziaqa2cqaznhh81v9zi-hello-2.10"


def test_parts_of_a_store_path() -> None:
    path = parse_store_path(HELLO)
    assert base_name(path) == "basz86javbn3vziaqa2cqaznhh81v9zi-hello-2.10"
    assert package_name(path) == "hello-2.10"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/nix/store",
        "/nix/store/",
        "/nix/store/hello",
        "/nix/store/basz86javbn3vziaqa2cqaznhh81v9zi",
        "/nix/store/basz86javbn3vziaqa2cqaznhh81v9zi-",
        "/nix/store/basz86javbn3vziaqa2cqaznhh81v9ze-hello",  # e is no digit
        HELLO + "/bin",
        HELLO + "\n",
        HELLO + " x",
        HELLO.replace("/nix", "/gnu"),
        "/nix/store/../store/basz86javbn3vziaqa2cqaznhh81v9zi-hello",
        "/nix/store/basz86javbn3vziaqa2cqaznhh81v9zi-" + "x" * 212,
    ],
)
def test_anything_else_is_not_a_store_path(text: str) -> None:
    with pytest.raises(ValueError, match="not a store path"):
        parse_store_path(text)


def test_nar_hashes_are_read_in_both_notations() -> None:
    base_32 = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
    hexadecimal = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert parse_nar_hash(base_32) == parse_nar_hash(hexadecimal)
    assert format_nar_hash(parse_nar_hash(hexadecimal)) == base_32


@pytest.mark.parametrize("text", ["", "sha256:", "md5:" + "0" * 32, "sha256:" + "0" * 63])
def test_other_hashes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"SHA-256|digits"):
        parse_nar_hash(text)
