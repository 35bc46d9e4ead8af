"""Nothing here goes without checking host keys, but the test of that option."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

UNCHECKED = re.compile(
    r"StrictHostKeyChecking[ =\"',]*(no|off|false|accept-new)\b"
    r"|NoHostAuthenticationForLocalhost[ =\"',]*(yes|true)\b"
    r"|(AutoAdd|Warning|MissingHostKey)Policy|set_missing_host_key_policy",
    re.IGNORECASE,
)

THE_TEST_OF_THE_OPTION = "tests/integration/test_known_hosts.py"
"""It connects with each value of the option, and compares with what `ssh` does."""

ONLY_READ = {
    "nix_remote/ssh/host_key_check.py",
    "tests/integration/ssh_config/flags.conf",
    "tests/integration/ssh_config/strictness.conf",
    "tests/integration/ssh_config/upper-and-lower-case.conf",
    "tests/unit/ssh/config/test_resolve.py",
    "tests/unit/ssh/test_host_key_check.py",
}
"""What the option means and how it is read; none of these connects anywhere."""

ASKS_FOR_A_KEY = "nix_remote/ssh/openssh/host_key_scan.py"
"""`setup ssh` shows the key of a host that is not known yet; it is not believed."""


def unchecked(folder: Path) -> set[str]:
    """The text files below a folder that switch the check off, as paths in the repository."""
    found = set()
    for path in folder.rglob("*"):
        inside = path.relative_to(REPOSITORY)
        made = any(part.startswith(("bazel-", ".git", "__pycache__")) for part in inside.parts)
        if made or not path.is_file():
            continue
        if UNCHECKED.search(path.read_text(errors="replace")):
            found.add(str(inside))
    return found


def test_host_keys_are_checked_but_where_that_option_is_tested() -> None:
    folders = (".ci", "bench", "bzl", "docs", "examples", "nix_remote", "tests", "tools")
    assert all((REPOSITORY / folder).is_dir() for folder in folders)
    found = set().union(*(unchecked(REPOSITORY / folder) for folder in folders))
    assert found - {str(Path(__file__).relative_to(REPOSITORY))} == {
        THE_TEST_OF_THE_OPTION,
        ASKS_FOR_A_KEY,
        *ONLY_READ,
    }
