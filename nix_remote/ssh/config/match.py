"""Whether the block of a `Host` or `Match` line applies to the host that is looked up.

`Match exec` runs its command here, at most once for each pass over the files.
"""

from __future__ import annotations

from typing import Final, Sequence

from nix_remote.processes import ProcessFailed, exit_status
from nix_remote.ssh import patterns
from nix_remote.ssh.config.lookup import Lookup, Source
from nix_remote.ssh.config.tokens import LocalUser, expanded

_EXEC_TIMEOUT: Final = 30.0
"""Seconds."""
_WITHOUT_ARGUMENT: Final = ("all", "final", "canonical")
_WITH_ARGUMENT: Final = (
    *("host", "originalhost", "user", "localuser", "tagged", "exec", "sessiontype"),
    *("command", "localnetwork", "version"),
)


def host_applies(found: Lookup, words: Sequence[str], source: Source) -> bool:
    """Whether the patterns of a `Host` line match. Raises `ValueError` if there are none."""
    if source.in_other_block:
        return False
    if not words or "" in words:
        raise ValueError("Host has no pattern")
    # The second pass compares the name that the first one found.
    name = found.host(final=True) if source.final else found.name
    applies = False
    for word in words:
        if patterns.matches(name, word.removeprefix("!")):
            if word.startswith("!"):
                return False
            applies = True
    return applies


def match_applies(found: Lookup, words: Sequence[str], source: Source) -> bool:
    """Whether all criteria of a `Match` line hold. Raises `ValueError` for an invalid one."""
    applies = True
    rest = list(words)
    if not rest:
        raise ValueError("Match has no criterion")
    criteria = 0
    while rest:
        criterion, equals, argument = rest.pop(0).partition("=")
        negated = criterion.startswith("!")
        criterion = criterion.removeprefix("!").lower()
        if criterion in _WITHOUT_ARGUMENT:
            if criterion == "all" and (rest or criteria > 1):
                raise ValueError("Match all cannot be combined with other criteria")
            if criterion == "final" and not negated:
                found.wants_final_pass = True
            holds = criterion == "all" or source.final
        elif criterion in _WITH_ARGUMENT:
            if not equals:
                if not rest:
                    raise ValueError(f"Match {criterion} has no argument")
                argument = rest.pop(0)
            # Once the result is known, no command is run.
            decided = not applies or source.in_other_block
            holds = not decided and _holds(found, criterion, argument, source)
        else:
            raise ValueError(f"unknown Match criterion {criterion}")
        criteria += 1
        applies = applies and holds is not negated
    return applies and not source.in_other_block


def is_specific(words: Sequence[str]) -> bool:
    """Whether a `Host` or `Match` line selects some hosts, as opposed to all."""
    return not all(word in ("*", "all", "final", "canonical") for word in words)


def _holds(found: Lookup, criterion: str, argument: str, source: Source) -> bool:
    if criterion == "host":
        return patterns.host_matches_list(found.host(final=source.final), argument)
    if criterion == "originalhost":
        return patterns.host_matches_list(found.name, argument)
    if criterion == "exec":
        return _succeeds(expanded(argument, found.tokens(final=source.final)), found.local)
    if criterion in ("command", "localnetwork", "version"):
        # The ssh program's own command, interfaces and version decide.
        found.openssh_only.append(f"Match {criterion} ({source.path})")
        return False
    text = {
        "user": found.text("user") or found.local.name,
        "localuser": found.local.name,
        "tagged": found.text("tag") or "",
        "sessiontype": "exec",
    }[criterion]
    return patterns.matches_list(text, argument) if text else not argument


def _succeeds(command: str, local: LocalUser) -> bool:
    try:
        status = exit_status(
            [local.shell, "-c", command], timeout=_EXEC_TIMEOUT, environment=local.environment
        )
    except ProcessFailed as error:
        raise ValueError(f"Match exec: {error}") from None
    return status == 0
