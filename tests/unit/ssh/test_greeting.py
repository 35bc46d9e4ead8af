import pytest

from nix_remote.ssh import greeting


@pytest.mark.parametrize(
    ("lines", "busy"),
    [
        ([], True),
        ([""], True),
        (["Exceeded MaxStartups\r"], True),
        (["Not allowed at this time"], True),
        (["220 mail ready"], False),
        (["Exceeded MaxStartups", "220 mail ready"], False),
    ],
)
def test_a_busy_sshd_is_recognised_by_what_it_sends(lines: list[str], busy: bool) -> None:
    assert greeting.is_of_busy_server(lines) is busy


def test_another_kind_of_server_is_shown_by_its_first_line() -> None:
    assert "'220 mail ready'" in greeting.no_greeting(["220 mail ready\r", "more"])
    assert "'" + "x" * 80 + "'" in greeting.no_greeting(["x" * 1000])
