"""Records of tests: the fixture `compatibility`, and the option `--record FILE`.

    def test_closures_arrive(server, compatibility):
        compatibility("Nix", version_of(server), "copies")

The record is written at the end of the test, with its outcome; a test that fails before it calls
`compatibility` leaves none. A plugin of pytest; works with several workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Final, Protocol

import pytest

from tests.compatibility.records import How, Record, Result, append, from_fields

_PROPERTY: Final = "compatibility"


class Recorder(Protocol):
    """Notes that the test shows `what` of a version of `subject`: see `Record`."""

    def __call__(
        self, subject: str, version: str, what: str, *, how: How = How.RUN, variant: str = ""
    ) -> None: ...


@pytest.fixture
def compatibility(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Recorder:
    source = str(request.path.relative_to(request.config.rootpath))

    def note(
        subject: str, version: str, what: str, *, how: How = How.RUN, variant: str = ""
    ) -> None:
        fields = {"subject": subject, "version": version, "what": what, "how": how.value}
        record_property(_PROPERTY, {**fields, "variant": variant, "source": source})

    return note


class Recording:
    """Writes what tests have noted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Of a parametrised fixture that fails there is no call.
        if report.when != "call" or report.outcome == "skipped":
            return
        result = Result.PASSED if report.passed else Result.FAILED
        noted = [value for name, value in report.user_properties if name == _PROPERTY]
        append(self._path, (_record(value, result) for value in noted))


def _record(fields: object, result: Result) -> Record:
    assert isinstance(fields, dict)
    return from_fields({**fields, "result": result.value})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record",
        type=Path,
        metavar="FILE",
        help="append what was tried with which versions; see tests/compatibility",
    )


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--record")
    # With several workers, the reports of all arrive where the workers were started.
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recording(path), "compatibility-recording")
