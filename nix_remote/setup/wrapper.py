"""The text of a `tools/bazel`: a script that Bazel runs in its own place, if a workspace has it."""

from __future__ import annotations

from typing import Final

_BEFORE: Final = """\
#!/bin/sh
# tools/bazel: Bazel runs this instead of itself, with its own path in BAZEL_REAL.
# An agent of nix_remote serves all fetches: one login, nothing sent twice. It leaves by itself.
if command -v nix-remote >/dev/null; then
  case " $* " in
  *" build "* | *" test "* | *" run "* | *" coverage "* | *" fetch "* | *" cquery "*)
    nix-remote agent start 2>/dev/null || true
"""
_ENSURE: Final = """\
    # What the server has lost since the last build is sent again.
    nix-remote ensure --workspace="$(cd "$(dirname "$0")/.." && pwd)" || exit $?
"""
_AFTER: Final = """\
    ;;
  esac
fi
exec "${BAZEL_REAL:?Bazel sets it when it runs tools/bazel}" "$@"
"""


def with_agent() -> str:
    """A script that starts the agent before Bazel."""
    return _BEFORE + _AFTER


def with_agent_and_ensure() -> str:
    """The same, and makes sure that the server still has what earlier builds have copied."""
    return _BEFORE + _ENSURE + _AFTER
