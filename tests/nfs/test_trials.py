"""Whether a path that was looked for in vain is seen when the settle time has passed."""

from __future__ import annotations

import pytest

from nix_remote.settings import DEFAULT_SETTLE
from nix_remote.setup import nfs as chosen
from tests.nfs.site import Site
from tests.nfs.trials import trials
from tests.nfs.trials.copies import invisible_after_copies
from tests.nfs.trials.trials import KINDS, Plan

pytestmark = pytest.mark.timeout(300)


def test_the_default_settle_time_is_long_enough_and_a_shorter_one_is_not(site: Site) -> None:
    def plans(settle: float, count: int) -> list[Plan]:
        options = chosen.mount_options()
        return [Plan(kind, options, settle, count, seed) for seed, kind in enumerate(KINDS)]

    with trials.making(site.server):
        every = [*plans(DEFAULT_SETTLE, 8), *plans(0.7, 8)]
        seen = trials.run(site.server, site.executor, every, timeout=200)
    enough, short = (
        {each.plan.kind: each.invisible for each in seen if each.plan.settle == settle}
        for settle in (DEFAULT_SETTLE, 0.7)
    )
    assert enough == dict.fromkeys(KINDS, 0)
    # The control: what is looked for is really made in the clients' blind moments.
    assert sum(short.values()) > 0


def test_a_copy_ends_when_executors_see_its_paths(unmounted: Site) -> None:
    """The copier itself; the control is a copy that does not wait."""
    site = unmounted
    site.mount(chosen.mount_options())

    def invisible(settle: float) -> int:
        hosts = (site.workstation, site.server, site.executor)
        return invisible_after_copies(*hosts, settle=settle, copies=12)

    assert invisible(0) > 0
    assert invisible(DEFAULT_SETTLE) == 0
