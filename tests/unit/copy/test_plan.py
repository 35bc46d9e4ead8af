from nix_remote.copy.plan import Reason, make_plan
from tests.support.paths import info, path


def test_only_what_is_not_valid_is_missing_and_order_is_kept() -> None:
    closure = [info("glibc", nar=b"12345678"), info("bash"), info("hello", nar=b"1234")]
    plan = make_plan(closure, {path("bash")})
    assert [one.reason for one in plan.paths] == [Reason.MISSING, Reason.VALID, Reason.MISSING]
    assert [one.path for one in plan.missing] == [path("glibc"), path("hello")]
    assert plan.missing_bytes == 12


def test_what_is_registered_with_another_hash_is_different() -> None:
    closure = [info("glibc"), info("bash"), info("hello")]
    valid = {path("glibc"), path("bash")}
    there = {path("glibc"): info("glibc"), path("bash"): info("bash", nar=b"built elsewhere")}
    plan = make_plan(closure, valid, there)
    assert [one.reason for one in plan.paths] == [Reason.VALID, Reason.DIFFERENT, Reason.MISSING]
    assert plan.having(Reason.DIFFERENT) == (closure[1],)
