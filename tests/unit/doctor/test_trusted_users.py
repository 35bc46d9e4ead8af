"""Why an account that nix.conf trusts is not trusted."""

from __future__ import annotations

import pytest

from nix_remote.doctor import trusted_users

LIX = "nix-store (Lix, like Nix) "


@pytest.mark.parametrize("version", ["2.95.0", "2.95.3"])
def test_lix_that_ignores_a_setting_is_named(version: str) -> None:
    (found,) = trusted_users.judge(f"{LIX}{version}\n", refused=True)
    assert found.text.startswith(f"Lix {version} ignores extra-trusted-users")
    assert "trusted-users = root ACCOUNT" in found.fix


@pytest.mark.parametrize(
    ("printed", "refused"),
    [
        (f"{LIX}2.95.3", False),
        (f"{LIX}2.94.2", True),
        (f"{LIX}2.95.4", True),
        ("nix-store (Nix) 2.34.8", True),
        ("nix-remote-dispatcher: this account may not run that", True),
    ],
)
def test_nothing_is_said_where_it_explains_nothing(printed: str, refused: bool) -> None:
    assert trusted_users.judge(printed, refused=refused) == []
