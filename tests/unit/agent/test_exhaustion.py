"""Failures caused by a shortage of resources in this process."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from pathlib import Path

import pytest

from nix_remote.agent import exhaustion
from nix_remote.errors import (
    ConnectionRefused,
    HostNotFound,
    LocalStoreUnavailable,
    NixRemoteError,
)


def raised(cause: BaseException) -> NixRemoteError:
    """An error as the layers below raise it: without showing what it was raised for."""
    try:
        try:
            raise cause
        except BaseException:
            raise LocalStoreUnavailable("said otherwise") from None
    except NixRemoteError as error:
        return error


@pytest.mark.parametrize(
    "cause",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        BlockingIOError(errno.EAGAIN, "fork"),
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
)
def test_a_shortage_is_found_among_the_causes_of_an_error(cause: Exception) -> None:
    assert exhaustion.of_this_process(raised(cause)) is not None


@pytest.mark.parametrize(
    "error",
    [
        raised(FileNotFoundError(errno.ENOENT, "nix-store")),
        ConnectionRefused("s", "s:22", "refused"),
        HostNotFound("s", "s", None),
    ],
)
def test_other_failures_are_not_shortages(error: Exception) -> None:
    assert exhaustion.of_this_process(error) is None


def test_a_missing_folder_for_temporary_files_is_a_shortage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert exhaustion.of_this_process(HostNotFound("s", "s", None)) is not None


def test_a_shortage_is_found_although_the_error_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that could not be looked up for want of a descriptor looks like an unknown name."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        assert exhaustion.of_this_process(HostNotFound("s", "s", None)) is not None

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert exhaustion.of_this_process(HostNotFound("s", "s", None)) is not None


def test_the_check_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert exhaustion.of_this_process(HostNotFound("s", "s", None)) is None
    assert len(os.listdir("/proc/self/fd")) == before
