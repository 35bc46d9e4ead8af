"""`nix-remote ensure`: it uses only hosts that the user names and fetches of that user.

What it does on a server is in `tests/integration/test_ensure.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterable, Optional, Sequence

import pytest

from nix_remote import manifests, private_key
from nix_remote.cli import ensure
from nix_remote.cli.main import main
from nix_remote.manifests import Manifest
from nix_remote.store.paths import StorePath
from tests.support.paths import path

KEY = b"k" * 32


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that it connects to. The key of this user is `KEY`."""
    hosts: list[str] = []

    def note(
        options: object, host: str, found: Iterable[Manifest]
    ) -> tuple[dict[str, object], Sequence[StorePath]]:
        hosts.append(host)
        return {"host": host, "roots": 1, "checked": 1, "lost": []}, []

    monkeypatch.setattr(ensure, "_ensure", note)
    monkeypatch.setattr(private_key, "keys", lambda homes: [KEY])
    monkeypatch.setattr(private_key, "own_key", lambda homes: KEY)
    monkeypatch.delenv("BAZEL_NIX_REMOTE", raising=False)
    return hosts


def add(base: Path, repository: str, host: str, key: Optional[bytes] = KEY) -> Path:
    file = base / "external" / repository / "bazel-support/nix-remote/manifest.json"
    file.parent.mkdir(parents=True)
    made = Manifest(host, "/home/me/app", "hello", 1, [path("hello")], [path("hello")])
    file.write_text(manifests.as_text(made, key))
    return file


def test_it_connects_to_no_host_that_only_a_manifest_names(
    tmp_path: Path, connected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    add(tmp_path, "one", "named")
    add(tmp_path, "two", "other")
    assert main(["ensure", "--json", "--host=named", f"--output-base={tmp_path}"]) == 0
    assert connected == ["named"]
    assert json.loads(capsys.readouterr().out)["data"]["not_named"] == ["other"]


def test_the_environment_may_name_several(
    tmp_path: Path, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "one", "a")
    add(tmp_path, "two", "b")
    monkeypatch.setenv("BAZEL_NIX_REMOTE", "b a  b")
    assert main(["ensure", f"--output-base={tmp_path}"]) == 0
    assert connected == ["b", "a"]


def test_without_a_host_it_checks_nothing(tmp_path: Path, connected: list[str]) -> None:
    add(tmp_path, "one", "a")
    assert main(["ensure", f"--output-base={tmp_path}"]) == 2
    assert connected == []


@pytest.mark.parametrize("key", [None, b"s" * 32])
def test_a_manifest_from_an_archive_fails_after_the_check_of_the_others(
    tmp_path: Path,
    connected: list[str],
    capsys: pytest.CaptureFixture[str],
    key: Optional[bytes],
) -> None:
    add(tmp_path, "evil\x1b[31m", "named", key)
    add(tmp_path, "good", "named")
    assert main(["ensure", "--host=named", f"--output-base={tmp_path}"]) == 18
    assert connected == ["named"]
    text = capsys.readouterr().err
    assert "error[manifests-unusable]" in text
    assert "external/evil/bazel-support/nix-remote/manifest.json: no fetch" in text
    assert "\x1b" not in text


def test_a_truncated_manifest_is_reported(
    tmp_path: Path, connected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = add(tmp_path, "cut", "named")
    file.write_bytes(file.read_bytes()[:100])
    assert main(["ensure", "--host=named", f"--output-base={tmp_path}"]) == 18
    assert "external/cut/" in capsys.readouterr().err
    assert connected == []


def test_a_user_without_a_key_gets_the_reason(
    tmp_path: Path,
    connected: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(homes: object) -> bytes:
        raise private_key.KeyUnusable("/root: Read-only file system")

    add(tmp_path, "one", "named", None)
    monkeypatch.setattr(private_key, "keys", lambda homes: [])
    monkeypatch.setattr(private_key, "own_key", none)
    assert main(["ensure", "--host=named", f"--output-base={tmp_path}"]) == 18
    assert "/root: Read-only file system" in capsys.readouterr().err


def test_names_of_repositories_cannot_control_the_terminal(
    tmp_path: Path, connected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    support = tmp_path / "external" / "\x1b]0;owned\x07\x1b[31mred\n" / "bazel-support"
    support.mkdir(parents=True)
    (support / "nix-out-link").symlink_to("/nix/store/x")
    assert main(["ensure", "--host=named", f"--output-base={tmp_path}"]) == 0
    text = capsys.readouterr().err
    assert "@red was fetched but not copied" in text
    assert "\x1b" not in text
    assert "\x07" not in text
