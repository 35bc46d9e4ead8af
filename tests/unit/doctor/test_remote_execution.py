"""What the doctor makes of what an action saw."""

from __future__ import annotations

import sys
from typing import Sequence

import pytest

from nix_remote.doctor import remote_execution as doctor_remote_execution
from nix_remote.doctor.finding import Finding, Status
from nix_remote.errors import GrpcMissing
from nix_remote.remote_execution.endpoint import Endpoint
from nix_remote.remote_execution.probe import ProbeResult
from tests.unit.doctor.test_on_executor import GOOD

PATHS = ["/nix/store/a", "/nix/store/b"]
NOTHING: frozenset[str] = frozenset()
SETTLE = 1.0


def statuses(found: Sequence[Finding]) -> dict[tuple[str, str], str]:
    assert all(each.fix for each in found if each.status in (Status.WARNING, Status.BROKEN))
    return {(each.layer, each.subject): each.status.value for each in found}


def test_a_good_mount_with_all_paths() -> None:
    found = statuses(
        doctor_remote_execution.judge(ProbeResult(GOOD, NOTHING, NOTHING), PATHS, SETTLE)
    )
    assert set(found.values()) == {"ok"}
    assert list(found)[-2:] == [("path", path) for path in PATHS]


def test_paths_that_are_absent_or_cannot_be_read() -> None:
    seen = ProbeResult(GOOD, frozenset(PATHS[:1]), frozenset(PATHS[1:]))
    found = doctor_remote_execution.judge(seen, PATHS, SETTLE)
    assert [each.status for each in found[-2:]] == [Status.BROKEN, Status.BROKEN]
    assert "docs/executors.md" in found[-2].fix
    assert "repair" in found[-1].fix


def test_no_mount_is_broken_only_if_something_is_absent() -> None:
    # The mount may be above the store, or the executor may be the server itself.
    assert (
        statuses(doctor_remote_execution.judge(ProbeResult("", NOTHING, NOTHING), PATHS, SETTLE))[
            "mount", "store"
        ]
        == "unknown"
    )
    absent = ProbeResult("", frozenset(PATHS), NOTHING)
    assert (
        statuses(doctor_remote_execution.judge(absent, PATHS, SETTLE))["mount", "store"] == "broken"
    )


def test_a_mount_that_hides_new_paths_is_told() -> None:
    seen = ProbeResult(GOOD.replace("acdirmax=1", "acdirmax=60"), NOTHING, NOTHING)
    assert (
        statuses(doctor_remote_execution.judge(seen, PATHS, SETTLE))["mount", "new paths"]
        == "broken"
    )


@pytest.mark.parametrize(
    ("absent", "status", "text"),
    [
        (NOTHING, Status.OK, "visible and readable for actions 1 s after it became valid"),
        (frozenset(PATHS), Status.BROKEN, "not visible to actions 1 s after it became valid"),
    ],
)
def test_whether_an_executor_that_looked_in_vain_sees_a_path_in_time(
    absent: frozenset[str], status: Status, text: str
) -> None:
    seen = ProbeResult(GOOD, absent, NOTHING)
    found = doctor_remote_execution.judge(seen, PATHS, SETTLE, looked_before="worker-7")
    assert [each.status for each in found[-2:]] == [status, status]
    assert text in found[-1].text
    assert "worker-7 had looked" in found[-1].text
    if status is Status.BROKEN:
        assert "acdirmax=1" in found[-1].fix
        assert "NIX_REMOTE_SETTLE" in found[-1].fix


def test_without_grpcio_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "nix_remote.remote_execution.service", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(GrpcMissing) as caught:
        doctor_remote_execution.executors(Endpoint("grpc://x:1"), SETTLE)
    assert caught.value.fix == f"{sys.executable} -m pip install grpcio"
