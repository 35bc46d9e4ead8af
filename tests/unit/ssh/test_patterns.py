import re
import time

from hypothesis import given
from hypothesis import strategies as st

from nix_remote.ssh.patterns import host_matches_list, matches, matches_list


@given(st.text("ab", max_size=8), st.text("ab*?", max_size=8))
def test_a_pattern_matches_as_its_regular_expression_does(text: str, pattern: str) -> None:
    expression = pattern.replace("*", ".*").replace("?", ".")
    assert matches(text, pattern) == (re.fullmatch(expression, text) is not None)


def test_no_pattern_takes_exponential_time() -> None:
    begun = time.monotonic()
    assert not matches("a" * 255, "*a" * 100 + "b")
    assert time.monotonic() - begun < 1


def test_a_negated_pattern_counts_at_any_position() -> None:
    assert matches_list("a.org", "*.org")
    assert not matches_list("a.org", "*.org,!a.*")
    assert not matches_list("a.org", "!a.*,*.org")
    assert not matches_list("b.org", "!a.*")


def test_only_matching_of_host_names_ignores_case() -> None:
    assert host_matches_list("NIX.org", "nix.ORG")
    assert not matches_list("NIX", "nix")
