"""What is written in each format is read back as the same text, by a reader of that format."""

from __future__ import annotations

import re
import shlex
from typing import Callable, Mapping

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.errors import SetupInputUnusable
from nix_remote.setup import (
    bazel_flags,
    executor,
    inputs,
    kubernetes,
    nixos,
    quoting,
    server,
)
from nix_remote.setup.bundle import Bundle
from tests.golden.setup_files import KEY

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ODD_NAMES = ("123", "1e3", "0x10", "true", "null", "no", "on", "y", "x")
ODD_HOSTS = (*ODD_NAMES, "10.0.0.1", "fd00::1", "2001:db8::", "::", "::1", "1.5", "2024-01-01")


@given(TEXTS)
def test_yaml_reads_the_text(text: str) -> None:
    assert yaml.safe_load(f"key: {quoting.yaml(text)}\n") == {"key": text}


@given(TEXTS.filter(lambda text: text and not re.search(r"[\r\n]", text)))
def test_a_bazelrc_has_the_flag_as_one_word(text: str) -> None:
    assert shlex.split(f"build {quoting.bazelrc(text)}", comments=True) == ["build", text]


@given(TEXTS)
def test_systemd_reads_the_text(text: str) -> None:
    written = quoting.systemd(text)
    assert not re.search(r'(?<!\\)(\\\\)*"', written)
    assert not re.search(r"(?<!%)(%%)*%(?!%)", written)
    meant = re.sub(r"\\(.)", r"\1", written, flags=re.S)
    assert meant.replace("%%", "%") == text


@given(TEXTS)
def test_nix_reads_the_text(text: str) -> None:
    written = quoting.nix(text)[1:-1]
    # Outside of escapes there is neither the string's end nor the beginning of an expression.
    bare = re.sub(r"\\.", "", written, flags=re.S)
    assert '"' not in bare
    assert "${" not in bare
    assert re.sub(r"\\(.)", r"\1", written, flags=re.S) == text


def documents(bundle: Bundle) -> list[object]:
    texts = [file.text for file in bundle.files if file.path.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def scalars(node: object, key: str = "") -> list[tuple[str, object]]:
    if isinstance(node, Mapping):
        assert all(isinstance(each, str) for each in node)
        return [found for name, each in node.items() for found in scalars(each, str(name))]
    if isinstance(node, list):
        return [found for each in node for found in scalars(each, key)]
    return [(key, node)]


@pytest.mark.parametrize("volume", kubernetes.Volume)
@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("host", ODD_HOSTS)
def test_an_overlay_has_no_value_but_strings(
    volume: kubernetes.Volume, name: str, host: str
) -> None:
    made = kubernetes.bundle(
        kubernetes.OverlayPlan(name, host, volume, namespace=name, deployment=name, container=name)
    )
    found = [each for document in documents(made) for each in scalars(document)]
    assert {value for key, value in found if key == "readOnly"} <= {True}
    assert all(isinstance(value, str) for key, value in found if key != "readOnly")
    assert name in {value for key, value in found if key == "namespace"}
    servers = {value for key, value in found if key == "server"}
    assert servers == ({host} if volume is not kubernetes.Volume.HOST_PATH else set())


def test_a_fragment_of_an_address_is_no_comment() -> None:
    plan = bazel_flags.FlagsPlan("nix", remote_executor="grpc://build:1#pool")
    text = bazel_flags.bundle(plan).files[0].text
    words = [shlex.split(line, comments=True) for line in text.splitlines()]
    assert ["build:remote", "--remote_executor=grpc://build:1#pool"] in words


def test_accounts_named_like_words_of_nix_are_quoted() -> None:
    text = nixos.bundle(server.ServerPlan(KEY, account="let")).files[0].text
    assert 'users.users."let" = {' in text
    assert 'users.groups."let" = { };' in text


@pytest.mark.parametrize(
    "refused",
    [
        lambda: inputs.network("fe80::1%eth0"),
        lambda: inputs.host("fe80::1%n", "--server"),
        lambda: inputs.host("10:20", "--server"),
        lambda: inputs.host("a..b", "--server"),
        lambda: inputs.host("a.", "--server"),
        lambda: inputs.account("root"),
        lambda: kubernetes.bundle(kubernetes.OverlayPlan("b", "nix", namespace="a.b")),
        lambda: kubernetes.bundle(kubernetes.OverlayPlan("b", "nix", deployment="a..b")),
        lambda: executor.bundle(executor.ExecutorPlan(":::")),
    ],
)
def test_what_no_reader_would_take_is_refused(refused: Callable[[], object]) -> None:
    with pytest.raises(SetupInputUnusable):
        refused()
