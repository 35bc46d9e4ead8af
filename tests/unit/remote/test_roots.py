from __future__ import annotations

from typing import Sequence

import pytest

from nix_remote.errors import RootsUnreadable
from nix_remote.remote.gc_roots import Root
from nix_remote.remote.programs import Finished, Programs
from nix_remote.remote.roots import list_roots, remove_roots
from tests.support.paths import path

HELLO, BASH = path("hello"), path("bash")
NAMES = {each: each.rpartition("/")[2] for each in (HELLO, BASH)}
OLD, NEW = Root("app-1a2b", "hello", HELLO, 100), Root("app-1a2b", "bash", BASH, 900)


class Answering(Programs):
    def __init__(self, status: int, stdout: str, stderr: str = "") -> None:
        self._finished = Finished(status, stdout, stderr)
        self.stdin = b""

    def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
        self.stdin = stdin
        return self._finished


def test_roots_are_listed_with_the_servers_time() -> None:
    lines = [
        "1000",
        f"100 ./app-1a2b/hello/{NAMES[HELLO]}",
        f"900 ./app-1a2b/bash/{NAMES[BASH]}",
        # Not ours, or not roots.
        f"500 ./{NAMES[BASH]}",
        "500 ./app-1a2b/bash/README",
        f"old ./app-1a2b/bash/{NAMES[BASH]}",
    ]
    found = list_roots(Answering(0, "\n".join(lines)), "server")
    assert found.now == 1000
    assert set(found.roots) == {OLD, NEW}


@pytest.mark.parametrize(
    ("status", "stdout"), [(1, "1000"), (0, ""), (0, "This account is restricted.")]
)
def test_what_is_no_list_of_roots_is_an_error(status: int, stdout: str) -> None:
    with pytest.raises(RootsUnreadable):
        list_roots(Answering(status, stdout, "said"), "server")


def test_only_what_the_server_removed_counts_as_removed() -> None:
    server = Answering(0, f"{OLD.location}\n")
    assert remove_roots(server, "server", [OLD, NEW]) == (OLD,)
    assert server.stdin == f"100 {OLD.location}\n900 {NEW.location}\n".encode()
    with pytest.raises(RootsUnreadable):
        remove_roots(Answering(1, ""), "server", [OLD])
