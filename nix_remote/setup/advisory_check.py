"""Shell commands that compare the server's Nix with `protocol/advisories.py`, and print warnings.

Pure.
"""

from __future__ import annotations

from typing import Final

from nix_remote.protocol.advisories import ADVISORIES, Releases
from nix_remote.protocol.implementations import Kind
from nix_remote.server.server_commands import VERSION_COMMAND

_MARKS: Final = {"Nix": Kind.NIX, "Lix": Kind.LIX, "Determinate": Kind.DETERMINATE}


def steps() -> str:
    """The commands. They warn on standard error, and never fail."""
    lines = [
        f"{mark}|{_releases(each.introduced.get(kind, ()))}|{_releases(each.fixed[kind])}"
        f"|{each.consequence}: {each.name}"
        for each in ADVISORIES
        for mark, kind in _MARKS.items()
        if kind in each.fixed
    ]
    return _STEPS.format(command=" ".join(VERSION_COMMAND), table="\n".join(lines))


def _releases(releases: Releases) -> str:
    return " ".join(".".join(map(str, each)) for each in releases)


_STEPS: Final = """\
# Vulnerabilities of the Nix daemon that let its users become root. The columns: implementation,
# the releases that introduced it, the releases that fix it, its description.
step='a look at the version of Nix'
awk -F '|' -v said="$({command} </dev/null)" '
  function number(version, part) {{
    split(version, part, ".")
    return (part[1] * 1000 + part[2]) * 1000 + part[3]
  }}
  function branch(version, part) {{
    split(version, part, ".")
    return part[1] "." part[2]
  }}
  # Whether this Nix is not older than the release of its branch, or else the newest release.
  function has(releases, each, count, i, least, newest) {{
    count = split(releases, each, " ")
    for (i = 1; i <= count; i++) {{
      if (branch(each[i]) == branch(version) && split(each[i], part, ".") > 2) least = each[i]
      if (number(each[i]) > number(newest)) newest = each[i]
    }}
    return number(version) >= number(least == "" ? newest : least)
  }}
  BEGIN {{
    kind = said ~ /[(]Lix/ ? "Lix" : said ~ /[(]Determinate/ ? "Determinate" : "Nix"
    version = said
    sub(kind == "Determinate" ? "^.*Nix " : "^.*[)] ", "", version)
    sub("[^0-9.].*", "", version)
  }}
  $1 == kind && has($2) && !has($3) {{
    print "nix-remote: warning: " kind " " version ", unless it is patched:" \\
      " who may use the daemon can " $4
    print "nix-remote:   fix: update Nix; a package may be patched under its old number:" \\
      " see its changelog"
  }}' >&2 <<'END-OF-FILE' || true
{table}
END-OF-FILE
"""
