import base64
from pathlib import Path

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.ssh.keys import known_hosts
from nix_remote.ssh.keys.known_hosts import Marker, Names, entries, fingerprint, record

KEY = paramiko.ECDSAKey.generate()
NAME = "[10.0.0.1]:2222"


def line(names: str, key: paramiko.PKey = KEY) -> str:
    return f"{names} {key.get_name()} {key.get_base64()}"


def found(tmp_path: Path, *lines: str, name: str = NAME) -> list[tuple[int, Marker]]:
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{text}\n" for text in lines))
    return [(entry.line, entry.marker) for entry in entries([tmp_path / "absent", file], name)]


def test_lines_about_a_server_are_found_with_their_numbers(tmp_path: Path) -> None:
    lines = ["# comment", line("other"), "", line(f"a,{NAME},b"), line("[10.0.0.1]:22")]
    assert found(tmp_path, *lines) == [(4, Marker.KNOWN)]


def test_hashed_names_match(tmp_path: Path) -> None:
    hashed = paramiko.HostKeys.hash_host(NAME)
    assert found(tmp_path, line(hashed)) == [(1, Marker.KNOWN)]
    assert found(tmp_path, line(hashed), name="10.0.0.1") == []


@pytest.mark.parametrize(
    ("names", "applies"),
    [
        ("*.example.org", True),
        ("*.EXAMPLE.org", True),
        ("*.example.org,!nix.*", False),
        ("!nix.*,*.example.org", False),
        ("nix.example.???", True),
        ("*", True),
        ("!other.example.org", False),
    ],
)
def test_patterns(tmp_path: Path, names: str, applies: bool) -> None:
    assert bool(found(tmp_path, line(names), name="nix.example.org")) == applies


def test_markers(tmp_path: Path) -> None:
    lines = [f"@cert-authority {line(NAME)}", f"\t@revoked \t {line('*')} a comment"]
    assert found(tmp_path, *lines) == [(1, Marker.AUTHORITY), (2, Marker.REVOKED)]


@pytest.mark.parametrize(
    "text",
    [
        NAME,
        f"{NAME} ssh-ed25519",
        f"{NAME} ssh-ed25519 AAAA",
        f"{NAME} ssh-rsa {KEY.get_base64()}",
        f"{NAME} {KEY.get_name()} {KEY.get_base64()[:-8]}",
        f"@unknown {line(NAME)}",
        f"@revoked @revoked {line(NAME)}",
        f"|1|x {KEY.get_name()} {KEY.get_base64()}",
        f"|2|x|y {KEY.get_name()} {KEY.get_base64()}",
    ],
)
def test_invalid_lines_are_skipped(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text, line(NAME)) == [(2, Marker.KNOWN)]


@given(
    st.lists(
        st.one_of(
            st.text(max_size=40),
            st.lists(
                st.sampled_from(
                    ["@revoked", "|1|", "*", "!", NAME, KEY.get_name(), "AAAA", "|", "é"]
                )
            ).map(" ".join),
            st.binary(max_size=60).map(lambda data: f"* x {base64.b64encode(data).decode()}"),
        ),
        max_size=5,
    )
)
def test_any_file_can_be_read(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_text("\n".join(lines))
    entries([file], NAME)


def test_a_recorded_key_is_known_afterwards(tmp_path: Path) -> None:
    file = tmp_path / ".ssh" / "known_hosts"
    record(file, (NAME, "10.0.0.1"), KEY.asbytes(), Names.PLAIN)
    record(file, ("hidden",), KEY.asbytes(), Names.HASHED)
    assert file.read_text().splitlines()[0] == line(f"{NAME},10.0.0.1")
    assert "hidden" not in file.read_text()
    for name in (NAME, "10.0.0.1", "hidden"):
        assert len(entries([file], name)) == 1
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_last_line_without_a_line_break_stays_intact(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(line("other"))
    record(file, (NAME,), KEY.asbytes(), Names.PLAIN)
    assert file.read_text().splitlines() == [line("other"), line(NAME)]


def test_recording_in_a_device_succeeds() -> None:
    record(Path("/dev/null"), (NAME,), KEY.asbytes(), Names.PLAIN)


def test_fingerprints_look_like_those_of_openssh() -> None:
    text = fingerprint(KEY.asbytes())
    assert text.startswith("ecdsa-sha2-nistp256 SHA256:")
    assert len(text.split(":")[1]) == 43


def test_a_key_that_only_openssh_can_use_is_known(tmp_path: Path) -> None:
    kind = b"sk-ssh-ed25519@openssh.com"
    key = b"".join(len(part).to_bytes(4, "big") + part for part in (kind, bytes(32), b"ssh:"))
    text = f"{NAME} {kind.decode()} {base64.b64encode(key).decode()}"
    assert found(tmp_path, text) == [(1, Marker.KNOWN)]
    assert known_hosts.kind_of(key) == kind.decode()
