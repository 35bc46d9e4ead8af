"""Whatever stands in a file or comes from a server: our own errors, and nothing else.

    ./tools/test unit -k fuzz --hypothesis-profile=long --hypothesis-show-statistics

tries a hundred times as much and says how much that was.
"""

from __future__ import annotations

import string
from collections import deque
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nix_remote.errors import SshConfigError
from nix_remote.local.signing import parse_signing_key
from nix_remote.protocol.conversation import Conversation
from nix_remote.ssh.config import resolve
from nix_remote.ssh.keys import known_hosts
from nix_remote.text import printable
from nix_remote.wire.codec import WireError
from tests.golden.script import Recording, begin, recordings
from tests.unit.protocol.test_golden import name, say_all

THIS_USER = resolve.this_user({})

KEYWORDS = (
    *("Host", "Match", "Include", "HostName", "Port", "User", "IdentityFile", "IdentitiesOnly"),
    *("UserKnownHostsFile", "GlobalKnownHostsFile", "ConnectTimeout", "HostKeyAlias", "Ciphers"),
    *("ProxyJump", "CertificateFile", "StrictHostKeyChecking", "AddressFamily", "ControlPath"),
    *("CanonicalizeHostname", "ServerAliveInterval", "Compression", "IdentityAgent", "nonsense"),
)
WORDS = (
    *("*", "!server", "server", "?erver", "host", "originalhost", "user", "final", "all", "none"),
    *(
        "yes",
        "no",
        "ask",
        "22",
        "-1",
        "99999999999",
        "1e9",
        "0x16",
        "%h",
        "%%",
        "%q",
        "%",
        "${HOME}",
    ),
    *("${", "${NO_SUCH}", "~", "~nobody/x", '"', "'", '"a b"', "=", "==", ",", "a,b", "#", "\\"),
    *(
        "me@jump:22,other",
        "[::1]:22",
        "/dev/null",
        "/nonexistent",
        "*.conf",
        "config",
        "aes128-ctr",
    ),
)
lines = st.builds(
    lambda keyword, separator, words: f"{keyword}{separator}{' '.join(words)}",
    st.sampled_from(KEYWORDS),
    st.sampled_from((" ", "=", " = ", "\t", "")),
    st.lists(st.sampled_from(WORDS) | st.text(max_size=10), max_size=4),
)
config_files = st.lists(lines | st.text(max_size=30), max_size=12).map("\n".join)


@given(config_files)
def test_fuzz_ssh_config(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    # What runs commands, and what could read a device for ever, is not for chance.
    assume(not any(word in text.lower() for word in ("exec", "/dev/", "proxycommand")))
    file = tmp_path_factory.getbasetemp() / "fuzzed_config"
    file.write_text(text, errors="surrogatepass")
    with suppress(SshConfigError):
        assert resolve.resolve("server", file, THIS_USER).port in range(1, 65536)


@given(st.binary(max_size=300))
def test_fuzz_ssh_config_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    assume(b"exec" not in data.lower())
    file = tmp_path_factory.getbasetemp() / "fuzzed_config"
    file.write_bytes(data)
    with suppress(SshConfigError):
        resolve.resolve("server", file, THIS_USER)


_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v"
marks = st.sampled_from(("", "@revoked ", "@cert-authority ", "@", "@x "))
hosts = st.sampled_from(
    ("[10.77.0.20]:2222", "*", "!*", "[*]:2222", "|1|a|b", "|1|", "|2|x|y", "a,b", ",", "")
) | st.text(string.printable, max_size=20)
kinds = st.sampled_from(("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "nonsense", ""))
keys = st.sampled_from((_KEY, _KEY[:-5], "AAAA", "====", "\xff", "")) | st.text(max_size=30)
known_lines = st.builds(
    lambda mark, host, kind, key: f"{mark}{host} {kind} {key}", marks, hosts, kinds, keys
)


@given(st.lists(known_lines | st.text(max_size=40), max_size=6).map("\n".join) | st.binary())
def test_fuzz_known_hosts(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed_known_hosts"
    data = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    file.write_bytes(data)
    known_hosts.entries((file,), "[10.77.0.20]:2222")


ALL = recordings()


@st.composite
def spoilt(draw: st.DrawFn, data: bytes) -> bytes:
    """A server's words with a few changes: bytes replaced, put in, taken out, cut off."""
    spoiled = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(spoiled)))
        length = draw(st.integers(0, 9))
        spoiled[position : position + length] = draw(st.binary(max_size=9))
    return bytes(spoiled[: draw(st.integers(0, len(spoiled)))] if draw(st.booleans()) else spoiled)


def hear(conversation: Conversation[Any], data: bytes) -> None:
    """Hands over what a server said; only a `WireError` may come of it."""
    with suppress(WireError):
        deque(conversation.receive(data))


@pytest.mark.parametrize("recording", ALL, ids=name)
@given(data=st.data())
def test_fuzz_a_recorded_server(recording: Recording, data: st.DataObject) -> None:
    conversation, _ = say_all(recording)
    hear(conversation, data.draw(spoilt(recording.received)))


@pytest.mark.parametrize("recording", ALL, ids=name)
@given(data=st.binary(max_size=400))
def test_fuzz_a_server_that_makes_no_sense(recording: Recording, data: bytes) -> None:
    for words in (data, begin(recording.protocol, "")[0].server_magic + data):
        hear(say_all(recording)[0], words)


@given(st.text() | st.binary().map(lambda data: data.decode(errors="surrogateescape")))
def test_fuzz_what_a_server_says_is_safe_to_print(said: str) -> None:
    shown = printable(said)
    assert not any(ord(each) < 32 and each not in "\t\n" for each in shown)
    assert not any(127 <= ord(each) < 160 for each in shown)
    shown.encode()


@given(st.text(max_size=40) | st.builds("{}:{}".format, st.text(max_size=5), st.text(max_size=99)))
def test_fuzz_key_files(text: str) -> None:
    with suppress(ValueError):
        parse_signing_key(text)
