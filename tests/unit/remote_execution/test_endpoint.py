import pytest

from nix_remote.errors import InvalidSetting
from nix_remote.remote_execution.endpoint import Endpoint, check_url, headers, properties


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("grpc://executors:8980", "executors:8980"),
        ("grpcs://remote.example.org", "remote.example.org"),
        ("grpc://[fd00::1]:8980", "[fd00::1]:8980"),
    ],
)
def test_addresses(url: str, target: str) -> None:
    assert Endpoint(check_url(url)).target == target


def test_only_grpcs_is_encrypted() -> None:
    assert Endpoint("grpcs://x").is_encrypted
    assert not Endpoint("grpc://x").is_encrypted


@pytest.mark.parametrize(
    "url",
    [
        *("", "executors:8980", "http://executors:8980", "grpc://", "grpc://:8980"),
        *("grpc://x:port", "grpc://x:99999", "grpc://x/instance", "grpc://x?y", "grpc://[::1"),
        *("grpc://me:secret@x:1", "GRPC://x"),
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InvalidSetting):
        check_url(url)


def test_properties_are_sorted_and_may_have_any_value() -> None:
    assert properties(["b=1=2", "a="]) == (("a", ""), ("b", "1=2"))


def test_names_of_headers_are_in_small_letters() -> None:
    assert headers(["X-Key=A b"]) == (("x-key", "A b"),)


@pytest.mark.parametrize("text", ["", "pool", "=a"])
def test_what_is_no_pair(text: str) -> None:
    with pytest.raises(InvalidSetting):
        properties([text])


@pytest.mark.parametrize("text", ["a b=c", "key-bin=c", "key=line\nbreak", "key=größer"])
def test_what_is_no_header_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        headers([text])
    assert text.partition("=")[2] not in caught.value.what
