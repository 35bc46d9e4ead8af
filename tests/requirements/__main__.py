"""`python -m tests.requirements update` and `check`."""

from __future__ import annotations

import sys
from typing import Final

from tests.requirements import lock, tools

_USAGE: Final = "usage: python -m tests.requirements update|check"


def main(words: list[str]) -> int:
    """Runs one command; returns its exit status."""
    if words == ["update"]:
        lock.PATH.write_text(lock.render(tools.resolve()))
        return 0
    if words == ["check"]:
        return _check()
    print(_USAGE, file=sys.stderr)
    return 2


def _check() -> int:
    text = lock.PATH.read_text()
    is_current = lock.render(tools.resolve()) == text
    if not is_current:
        print("newer versions or files exist: python -m tests.requirements update")
    audited = tools.audit(lock.parse(text))
    print(audited.text.strip())
    return 0 if is_current and audited.status == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
