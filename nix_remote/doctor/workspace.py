"""Checks the configuration of Bazel in a workspace: that fetches copy, and that all of them do.

Pure: the texts of files in, findings out.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final, Mapping, Sequence

from nix_remote.doctor.finding import Finding, broken, ok, warning

LAYER: Final = "bazel"

_VARIABLE: Final = "BAZEL_NIX_REMOTE"
_TRACKED: Final = ("--repo_env", _VARIABLE)
_IGNORED: Final = ("--action_env", _VARIABLE)

_STRICT: Final = "--experimental_strict_repo_env"
_SSH_AGENT: Final = "SSH_AUTH_SOCK"

# A copy of rules_nixpkgs_core that includes nix_remote: every package is copied.
_WHOLE_BUILD: Final = "@nix_remote//bzl:whole_build.bzl"

# Rules loaded from rules_nixpkgs itself: their packages are not copied.
_BYPASSING: Final = (
    re.compile(r'use_extension\(\s*"@rules_nixpkgs_core//extensions:package\.bzl"'),
    re.compile(
        r'load\(\s*"@(?:rules_nixpkgs_core|io_tweag_rules_nixpkgs)//(?:nixpkgs)?:nixpkgs\.bzl"'
        r'[^)]{0,4000}"nixpkgs_(?:flake_)?package"'
    ),
)

_SHOWN: Final = 10


@dataclass(frozen=True)
class WorkspaceFacts:
    """The configuration of a workspace."""

    host: str
    """The Nix server that is checked."""
    in_shell: str
    """`BAZEL_NIX_REMOTE` of the shell; empty if it is not set."""
    rc_files: Mapping[str, str]
    """Name to text, including imported files."""
    build_files: Mapping[str, str]
    """Name to text: MODULE.bazel, WORKSPACE, and .bzl files."""
    not_copied: Sequence[str] = ()
    """The repositories of packages that were fetched, but not copied."""
    unusable: Sequence[str] = ()
    """Files with the name of a manifest that no fetch of this user wrote, with the reason."""


def judge(facts: WorkspaceFacts) -> list[Finding]:
    """The findings about a workspace."""
    flags = [flag for text in facts.rc_files.values() for flag in _flags(text)]
    return [_variable(facts, flags), *_environment(flags), *_uncovered(facts), *_executor(flags)]


def _flags(text: str) -> list[tuple[str, str]]:
    """The flags of an rc file: name and value, which may be empty."""
    found = []
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)[1:]
        except ValueError:
            continue  # an unterminated quote: Bazel rejects the file
        for word, following in zip(words, [*words[1:], ""]):
            name, equals, value = word.partition("=")
            if name.startswith("--"):
                found.append((name, value if equals else following))
    return found


def _variable(facts: WorkspaceFacts, flags: list[tuple[str, str]]) -> Finding:
    line = f"nix-remote setup --host {facts.host} bazelrc --out .   (and import it in .bazelrc)"
    assigned = [(name, *value.partition("=")[::2]) for name, value in flags]
    named = [value for name, variable, value in assigned if (name, variable) == _TRACKED]
    values = {value or facts.in_shell for value in named}
    others = sorted(value for value in values if facts.host not in value.split())
    if others:
        text = f"{_VARIABLE} is {', '.join(each or 'nothing' for each in others)}, not {facts.host}"
        return warning(LAYER, "variable", text, line)
    if named:
        return ok(LAYER, "variable", f"--repo_env={_VARIABLE}={', '.join(values)}")
    if any((name, variable) == _IGNORED for name, variable, _ in assigned):
        text = f"{_VARIABLE} is in --action_env, which Bazel 9 ignores for repositories"
        return broken(LAYER, "variable", text, line)
    if facts.in_shell:
        text = f"{_VARIABLE} is set in this shell only: in others, Bazel fetches everything again"
        return warning(LAYER, "variable", text, line)
    return broken(LAYER, "variable", f"{_VARIABLE} is not set: nothing is copied", line)


def _environment(flags: list[tuple[str, str]]) -> list[Finding]:
    """Whether fetches see the variable that names the SSH agent."""
    strict = any(name == _STRICT and value not in ("0", "false", "no") for name, value in flags)
    named = [value.partition("=")[0] for name, value in flags if name == "--repo_env"]
    if not strict or _SSH_AGENT in named:
        return []
    text = f"{_STRICT} hides {_SSH_AGENT} from fetches: they cannot use keys in an SSH agent"
    return [warning(LAYER, "environment", text, f"in an rc file: common --repo_env={_SSH_AGENT}")]


def _uncovered(facts: WorkspaceFacts) -> list[Finding]:
    whole = any(_WHOLE_BUILD in text.replace("\\", "") for text in facts.build_files.values())
    found = [*([] if whole else _bypassing(facts)), *_not_copied(facts), *_unusable(facts)]
    if found:
        return found
    loaded = "rules_nixpkgs_core includes nix_remote: all are copied"
    return [ok(LAYER, "packages", loaded if whole else "all are loaded from nix_remote")]


def _not_copied(facts: WorkspaceFacts) -> list[Finding]:
    if not facts.not_copied:
        return []
    names = ", ".join(facts.not_copied[:_SHOWN])
    more = len(facts.not_copied) - _SHOWN
    text = f"fetched but not copied: {names}" + (f" and {more} more" if more > 0 else "")
    fix = "bazel fetch --force --configure; if they remain: docs/bazel.md, The whole build"
    return [warning(LAYER, "packages", text, fix)]


def _unusable(facts: WorkspaceFacts) -> list[Finding]:
    fix = "bazel fetch --force --configure; a manifest that remains is part of a download"
    return [
        warning(LAYER, "manifest", f"not from a fetch of this user: {each}", fix)
        for each in facts.unusable[:_SHOWN]
    ]


def _bypassing(facts: WorkspaceFacts) -> list[Finding]:
    return [
        warning(
            LAYER,
            "packages",
            f"{name}:{text.count(chr(10), 0, match.start()) + 1} loads packages from rules_nixpkgs"
            " itself: they are not copied",
            "load them from @nix_remote//bzl: docs/bazel.md",
        )
        for name, text in facts.build_files.items()
        for pattern in _BYPASSING
        for match in pattern.finditer(_without_comments(text))
    ]


def _without_comments(text: str) -> str:
    """The text with empty lines in place of comment lines, so that line numbers do not change."""
    return re.sub(r"^[ \t]*#.*$", "", text, flags=re.M)


def _executor(flags: list[tuple[str, str]]) -> list[Finding]:
    if any(name == "--remote_executor" and value for name, value in flags):
        return [ok(LAYER, "executor", "a remote executor is configured")]
    fix = "nix-remote setup bazelrc --remote-executor URL --out ."
    return [warning(LAYER, "executor", "no rc file has --remote_executor: builds are local", fix)]
