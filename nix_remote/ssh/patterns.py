"""OpenSSH's patterns: `*`, `?`, and comma-separated lists with negation.

SSH configs and known_hosts files use them. No input or output.
"""

from __future__ import annotations


def matches(text: str, pattern: str) -> bool:
    """Whether a pattern matches all of `text`; matching is case-sensitive."""
    # Backtracks to the last star only, so that no pattern takes exponential time.
    at = in_pattern = 0
    star = after_star = -1
    while at < len(text):
        if in_pattern < len(pattern) and pattern[in_pattern] == "*":
            star, after_star = in_pattern, at
            in_pattern += 1
        elif in_pattern < len(pattern) and pattern[in_pattern] in ("?", text[at]):
            at += 1
            in_pattern += 1
        elif star >= 0:
            after_star += 1
            at, in_pattern = after_star, star + 1
        else:
            return False
    return not pattern[in_pattern:].strip("*")


def matches_list(text: str, patterns: str) -> bool:
    """Whether a pattern of the list matches and no negated one does."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("!"):
            if matches(text, pattern[1:]):
                return False
        elif matches(text, pattern):
            found = True
    return found


def host_matches_list(host: str, patterns: str) -> bool:
    """Like `matches_list`, for host names: matching ignores case."""
    return matches_list(host.lower(), patterns.lower())
