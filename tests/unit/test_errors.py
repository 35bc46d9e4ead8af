import inspect
import re

import pytest

from nix_remote import errors
from nix_remote.errors import NixRemoteError


def leaves(kind: type[NixRemoteError] = NixRemoteError) -> list[type[NixRemoteError]]:
    below = kind.__subclasses__()
    return [leaf for child in below for leaf in leaves(child)] if below else [kind]


LEAVES = sorted(leaves(), key=lambda leaf: leaf.__name__)


def example(leaf: type[NixRemoteError]) -> NixRemoteError:
    """An instance, with an argument of the right type for every parameter."""
    values: dict[str, object] = {"float": 1.5, "int": 2, "str": "something"}
    values |= {"Optional[str]": None, "Optional[int]": None, "Sequence[str]": ["one", "other"]}
    parameters = inspect.signature(leaf.__init__).parameters.values()
    arguments = [values[str(one.annotation)] for one in parameters if one.name != "self"]
    return leaf(*arguments)  # type: ignore[arg-type, call-arg]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_every_error_says_what_and_how_to_fix_it(leaf: type[NixRemoteError]) -> None:
    error = example(leaf)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", error.code)
    assert error.what
    assert error.fix
    text = error.render()
    assert text.startswith(f"error[{error.code}]: ")
    assert "\n  fix: " in text
    assert not text.endswith("\n")


def test_codes_are_unique() -> None:
    codes = [leaf.code for leaf in LEAVES]
    assert len(codes) == len(set(codes))


def test_exit_statuses_belong_to_families() -> None:
    statuses = {leaf.exit_status for leaf in LEAVES}
    assert statuses == {2, *range(10, 21), 130}
    assert errors.CRASHED not in statuses


def test_the_tree_in_the_documentation_is_complete() -> None:
    assert errors.__doc__ is not None
    for leaf in LEAVES:
        assert leaf.__name__ in errors.__doc__


def test_lines_of_a_text_stay_together() -> None:
    error = errors.NixNotFound("server", "nix-daemon", "")
    assert "\n  fix: check: ssh server nix-daemon --version\n       (Nix must" in error.render()
