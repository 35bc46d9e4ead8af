from nix_remote.store.plan import DAMAGES, Reason, make_plan
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


def test_what_is_damaged_on_the_servers_disk_is_sent_again_only_where_that_is_wanted() -> None:
    closure = [info("glibc"), info("bash"), info("hello")]
    valid = {one.path for one in closure}
    found = {path("glibc"): Reason.ABSENT, path("bash"): Reason.CHANGED}
    plan = make_plan(closure, valid, damaged=found)
    assert [one.reason for one in plan.paths] == [Reason.ABSENT, Reason.CHANGED, Reason.VALID]
    assert plan.missing == ()
    assert [one.info for one in plan.damaged] == closure[:2]
    plan = make_plan(closure, valid, damaged=found, replaced=frozenset({Reason.ABSENT}))
    assert plan.missing == (closure[0],)
    assert [one.info for one in plan.damaged] == [closure[1]]
    plan = make_plan(closure, valid, damaged=found, replaced=DAMAGES)
    assert plan.missing == tuple(closure[:2])
    assert plan.damaged == ()
    assert plan.valid == valid


def test_damage_counts_more_than_a_hash_that_differs_in_the_database() -> None:
    closure = [info("bash")]
    there = {path("bash"): info("bash", nar=b"built elsewhere")}
    plan = make_plan(closure, {path("bash")}, there, {path("bash"): Reason.ABSENT})
    assert plan.paths[0].reason is Reason.ABSENT
