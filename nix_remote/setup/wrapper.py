"""The script `tools/bazel`, which Bazel runs instead of itself if a workspace has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Mapping

from nix_remote.setup.bundle import Bundle, File

_BEFORE: Final = """\
#!/bin/sh
# tools/bazel: Bazel runs this instead of itself, with its own path in BAZEL_REAL.
# Starts the agent of nix_remote, which serves all fetches over one login. It exits when idle.
if command -v nix-remote >/dev/null; then
  case " $* " in
  *" build "* | *" test "* | *" run "* | *" coverage "* | *" fetch "* | *" cquery "*)
    nix-remote agent start 2>/dev/null || true
"""
_ENSURE: Final = """\
    # Sends paths again that the server has lost since the last build. Not before a fetch: if
    # `ensure` fails, its error message tells the user to fetch.
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
"""What the script does in addition to starting the agent. `ensure` checks that the server still has
the paths that earlier builds copied."""


def with_script(flags: Bundle, kind: str, host: str) -> Bundle:
    """The bundle with such a script added, by its name in `SCRIPTS`, for a checked host."""
    script = File(FILE_NAME, _BEFORE + SCRIPTS[kind].format(host=host) + _AFTER, 0o755)
    return replace(flags, files=(*flags.files, script))
