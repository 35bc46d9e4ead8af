"""Whoever reads a number of a server: none of them fails on what Python takes for a digit."""

from __future__ import annotations

from contextlib import suppress
from typing import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.doctor import disks, exports, on_executor
from nix_remote.errors import NixRemoteError, RootsUnreadable
from nix_remote.server import disk_check
from nix_remote.server.gc_roots import listing
from nix_remote.server.gc_roots.scripts import FORMAT
from nix_remote.server.remote_exec import Finished
from nix_remote.ssh.config import syntax

ODD = ("²", "\u0663", "\uff11", "1_0", "+1", "-1", "0x1", "", "9" * 5000, "nan", "1e3", "½")
WORD = st.one_of(st.sampled_from(ODD), st.text(st.characters(categories=["N", "P", "L"])))
LINES = st.lists(
    st.builds(
        lambda name, words: " ".join((name, *words)),
        st.sampled_from(("disk /nix/store", "mount / rw", "threads", "listen", "timer", "1", "")),
        st.lists(WORD, max_size=5),
    )
).map("\n".join)


class Server:
    """A server on which every program prints the same."""

    def __init__(self, output: str) -> None:
        self._output = output

    def run_lines(
        self,
        command: Sequence[str],
        take: Callable[[str], None],
        *,
        at_most: int,
        stdin: bytes = b"",
        waiting_for: str,
    ) -> Finished:
        for line in self._output.splitlines():
            take(line)
        return Finished(0, "", "")


def list_roots(output: str) -> object:
    try:
        return listing.list_roots(Server(output), "server")  # type: ignore[arg-type]
    except RootsUnreadable:
        return None


def parse_all_of_config(text: str) -> None:
    for parse in (syntax.parse_seconds, syntax.parse_number):
        with suppress(ValueError):
            parse(text)


READERS: Sequence[Callable[[str], object]] = (
    lambda text: disks.judge(text, "server"),
    lambda text: disk_check.diagnosis(text, "server"),
    exports.judge,
    list_roots,
    parse_all_of_config,
    lambda text: on_executor.judge_mount(on_executor.Mount("nfs4", "x", {"acdirmax": text}), 1.0),
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_number_is_no_number(read: Callable[[str], object], odd: str) -> None:
    for line in (
        "{}",
        f"{FORMAT} {{}}\nend",
        f"{FORMAT} 1\n{{}} 1.0 1.0 a/b/c /nix/store/x\nend",
        f"{FORMAT} 1\n1 {{}} 1.0 a/b/c /nix/store/x\nend",
        "disk /nix/store {} 1 1 1",
        "timer x\nthreads {}",
        "timer\nlisten {}",
    ):
        read(line.format(odd))


@given(LINES)
def test_any_lines_are_read_to_an_end(text: str) -> None:
    for read in READERS:
        with suppress(NixRemoteError):
            read(text)


def test_an_odd_number_of_bytes_is_not_a_full_disk() -> None:
    assert disk_check.disks("disk /nix/store ² 1 1 1") == []
    for now in ("²", "1_0"):
        assert list_roots(f"{FORMAT} {now}\nend") is None
