from nix_remote.copy.plan import Reason, make_plan
from tests.support.paths import info, path


def test_only_what_is_not_valid_is_missing_and_order_is_kept() -> None:
    closure = [info("glibc", nar=b"12345678"), info("bash"), info("hello", nar=b"1234")]
    plan = make_plan(closure, {path("bash")})
    assert [one.reason for one in plan.paths] == [Reason.MISSING, Reason.VALID, Reason.MISSING]
    assert [one.path for one in plan.missing] == [path("glibc"), path("hello")]
    assert plan.missing_bytes == 12
