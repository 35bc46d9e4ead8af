"""What Bazel is told in a workspace: whether its fetches copy at all, and all of them.

Pure: the texts of files in, findings out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Mapping, Sequence

from nix_remote.doctor.finding import Finding, broken, ok, warning

LAYER: Final = "bazel"

_REPO_ENV: Final = re.compile(
    r"^\s*\w+(?::\w+)?\s.*--repo_env[= ]BAZEL_NIX_REMOTE(?:=(\S+))?", re.M
)
_ACTION_ENV: Final = re.compile(r"^\s*\w+(?::\w+)?\s.*--action_env[= ]BAZEL_NIX_REMOTE", re.M)
_EXECUTOR: Final = re.compile(r"^\s*\w+(?::\w+)?\s.*--remote_executor[= ]\S", re.M)

# What realises packages, loaded from rules_nixpkgs itself: nothing of theirs is copied.
_PAST_US: Final = (
    re.compile(r'use_extension\(\s*"@rules_nixpkgs_core//extensions:package\.bzl"'),
    re.compile(
        r'load\(\s*"@(?:rules_nixpkgs_core|io_tweag_rules_nixpkgs)//(?:nixpkgs)?:nixpkgs\.bzl"'
        r'[^)]*"nixpkgs_(?:flake_)?package"'
    ),
)


# An override of rules_nixpkgs_core that has the hook in it: then all of theirs is.
_WHOLE_BUILD: Final = "@nix_remote//bzl:whole_build.bzl"

_SHOWN: Final = 10


@dataclass(frozen=True)
class Told:
    """What was read of a workspace."""

    host: str
    """The Nix server that is looked at."""
    in_shell: str
    """`BAZEL_NIX_REMOTE` of the shell; empty if it has none."""
    rc_files: Mapping[str, str]
    """Name to text, imported ones included."""
    build_files: Mapping[str, str]
    """Name to text: MODULE.bazel, WORKSPACE, and .bzl files."""
    not_copied: Sequence[str] = ()
    """The repositories of packages that were fetched, and not copied."""


def judge(told: Told) -> list[Finding]:
    """What is wrong."""
    rc = "\n".join(told.rc_files.values())
    return [_variable(told, rc), *_uncovered(told), *_executor(rc)]


def _variable(told: Told, rc: str) -> Finding:
    line = f"nix-remote setup --host {told.host} bazelrc --out .   (and import it in .bazelrc)"
    named = _REPO_ENV.findall(rc)
    values = {value or told.in_shell for value in named}
    if values - {told.host}:
        others = ", ".join(sorted(value or "nothing" for value in values))
        return warning(LAYER, "variable", f"BAZEL_NIX_REMOTE is {others}, not {told.host}", line)
    if named:
        return ok(LAYER, "variable", f"--repo_env=BAZEL_NIX_REMOTE={told.host}")
    if _ACTION_ENV.search(rc):
        text = "BAZEL_NIX_REMOTE is in --action_env, which Bazel 9 ignores for repositories"
        return broken(LAYER, "variable", text, line)
    if told.in_shell:
        text = "BAZEL_NIX_REMOTE is in this shell only: others make Bazel fetch everything again"
        return warning(LAYER, "variable", text, line)
    return broken(LAYER, "variable", "BAZEL_NIX_REMOTE is set nowhere: nothing is copied", line)


def _uncovered(told: Told) -> list[Finding]:
    found = [*_past_us(told), *_not_copied(told)]
    return found or [ok(LAYER, "packages", "all are loaded from nix_remote")]


def _not_copied(told: Told) -> list[Finding]:
    if not told.not_copied:
        return []
    names = ", ".join(told.not_copied[:_SHOWN])
    more = len(told.not_copied) - _SHOWN
    text = f"fetched and not copied: {names}" + (f" and {more} more" if more > 0 else "")
    fix = "bazel fetch --force --configure; if they stay: docs/bazel.md, The whole build"
    return [warning(LAYER, "packages", text, fix)]


def _past_us(told: Told) -> list[Finding]:
    if any(_WHOLE_BUILD in text for text in told.build_files.values()):
        return []
    return [
        warning(
            LAYER,
            "packages",
            f"{name}:{text.count(chr(10), 0, match.start()) + 1} loads packages from rules_nixpkgs"
            " itself: they are not copied",
            "load them from @nix_remote//bzl: docs/bazel.md",
        )
        for name, text in told.build_files.items()
        for pattern in _PAST_US
        for match in pattern.finditer(_without_comments(text))
    ]


def _without_comments(text: str) -> str:
    """The same with blanks for comments that have a line of their own: places stay."""
    return re.sub(r"^[ \t]*#.*$", "", text, flags=re.M)


def _executor(rc: str) -> list[Finding]:
    if _EXECUTOR.search(rc):
        return [ok(LAYER, "executor", "a remote executor is named")]
    fix = "nix-remote setup bazelrc --remote-executor URL --out ."
    return [warning(LAYER, "executor", "no rc file has --remote_executor: builds are local", fix)]
