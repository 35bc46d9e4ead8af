"""The text of a `tools/bazel`: a script that Bazel runs in its own place, if a workspace has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Mapping

from nix_remote.setup.bundle import Bundle, File

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
    # What the server has lost since the last build is sent again. Not before a fetch, which
    # is what `ensure` advises where it cannot do that.
    case " $* " in
    *" fetch "*) ;;
    *)
      BAZEL_NIX_REMOTE="${{BAZEL_NIX_REMOTE:-{host}}}" \\
        nix-remote ensure --workspace="$(cd "$(dirname "$0")/.." && pwd)" || exit $?
      ;;
    esac
"""
_AFTER: Final = """\
    ;;
  esac
fi
exec "${BAZEL_REAL:?Bazel sets it when it runs tools/bazel}" "$@"
"""


FILE_NAME: Final = "tools/bazel"

SCRIPTS: Final[Mapping[str, str]] = {"agent": "", "ensure": _ENSURE}
"""What the script does besides starting the agent: the second one makes sure that the server
still has what earlier builds have copied."""


def beside(flags: Bundle, kind: str, host: str) -> Bundle:
    """The same bundle with such a script, by its name in `SCRIPTS`, for a checked host."""
    script = File(FILE_NAME, _BEFORE + SCRIPTS[kind].format(host=host) + _AFTER, 0o755)
    return replace(flags, files=(*flags.files, script))
