import stat
from pathlib import Path

import paramiko
import pytest

from nix_remote.errors import SetupInputUnusable
from nix_remote.setup import key_pair
from nix_remote.setup.ssh_entry import HostEntry, difference, with_entry

NEW = HostEntry("nix-server", "nix.example.org", 2222, "me", "~/.ssh/nix-server")
OWN = """\
# my machines
Host work   # the usual one
    HostName work.example.org
    User ada

# everything else
Host *
    ServerAliveInterval 30
"""


def test_an_entry_is_added_to_nothing() -> None:
    assert with_entry("", NEW) == (
        "Host nix-server\n"
        "  HostName nix.example.org\n"
        "  Port 2222\n"
        "  User me\n"
        "  IdentityFile ~/.ssh/nix-server\n"
        "  IdentitiesOnly yes\n"
    )


def test_comments_order_and_indentation_stay_and_general_entries_come_last() -> None:
    after = with_entry(OWN, NEW)
    assert [line for line in after.splitlines() if line in OWN.splitlines() and line] == [
        line for line in OWN.splitlines() if line
    ]
    assert "    HostName nix.example.org\n" in after
    assert after.index("Host nix-server") < after.index("Host *")


def test_an_entry_that_is_there_is_changed_where_it_says_something_else() -> None:
    before = with_entry(OWN, NEW)
    after = with_entry(before, HostEntry("nix-server", port=22))
    assert after == before.replace("Port 2222", "Port 22")
    assert with_entry(after, HostEntry("nix-server", port=22)) == after


def test_a_file_with_match_blocks_can_be_added_to_but_an_entry_in_it_is_left_to_people() -> None:
    text = "Host nix-server\n  Port 1\nMatch user ada\n  Port 2\n"
    assert text.rstrip() in with_entry(text, HostEntry("other", "h"))
    with pytest.raises(SetupInputUnusable):
        with_entry(text, HostEntry("nix-server", port=3))


@pytest.mark.parametrize(
    "entry",
    [
        HostEntry("s", "a b"),
        HostEntry("s", "a\nProxyCommand id"),
        HostEntry("s", "-oProxyCommand=id"),
        HostEntry("s", user="$(id)"),
        HostEntry("s", identity='~/.ssh/"x'),
        HostEntry("s", ""),
    ],
)
def test_what_could_be_read_as_something_else_is_refused(entry: HostEntry) -> None:
    with pytest.raises(SetupInputUnusable):
        with_entry("", entry)


def test_a_difference_is_shown_line_by_line() -> None:
    shown = difference("a\nb", "a\nc\n", "config")
    assert shown == "--- config\n+++ config\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    assert difference("a\n", "a\n", "config") == ""


def test_a_key_pair_is_one_that_ssh_takes_and_replaces_none(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "nix-server"
    key_pair.create(file, "me on desk")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kind, blob, *comment = key_pair.public_file(file).read_text().split()
    assert (kind, comment) == ("ssh-ed25519", ["me", "on", "desk"])
    assert paramiko.Ed25519Key.from_private_key_file(str(file)).get_base64() == blob
    with pytest.raises(SetupInputUnusable, match="nix-server"):
        key_pair.create(file, "again")
