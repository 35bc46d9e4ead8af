"""The records of what has been tried, and the page that is made from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.compatibility import page, records
from tests.compatibility.records import How, Record, Result

pytest_plugins = ["pytester"]

_OLD = Record("Nix", "2.8.0", "copies", How.RUN, variant="Debian 12", source="tests/x.py")
_NEW = Record("Nix", "2.26.3", "copies", How.RUN)


def test_the_page_agrees_with_the_records() -> None:
    kept = records.read(records.KEPT)
    assert page.with_tables(page.PAGE.read_text(), kept) == page.PAGE.read_text(), (
        "run: python -m tests.compatibility"
    )
    assert records.merged(kept, []) == kept


def test_a_record_is_one_line_of_json(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    records.append(file, [_OLD])
    records.append(file, [_NEW])
    assert records.read(file) == [_OLD, _NEW]
    assert json.loads(file.read_text().splitlines()[1]) == {
        "subject": "Nix",
        "version": "2.26.3",
        "what": "copies",
        "how": "run",
        "result": "passed",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "Nix", "version": "1", "what": "x", "how": "guessed", "result": "passed"},
        {"subject": "Nix", "version": "1", "what": "x", "how": "run", "result": "good"},
        {"subject": "Nix", "version": "1", "what": "x", "how": "run", "result": "passed", "y": ""},
        {"version": "1", "what": "x", "how": "run", "result": "passed"},
    ],
)
def test_a_line_with_other_fields_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises((TypeError, ValueError)):
        records.from_fields(fields)


def _record(how: How, result: Result = Result.PASSED, source: str = "") -> Record:
    return Record("Nix", "2.18.9", "copies", how, result, source=source)


@pytest.mark.parametrize(
    ("kept", "new", "expected"),
    [
        # A later record of the same kind replaces the earlier one.
        ([_record(How.RUN)], [_record(How.RUN, source="b")], _record(How.RUN, source="b")),
        ([_record(How.RUN)], [_record(How.RUN, Result.FAILED)], _record(How.RUN, Result.FAILED)),
        ([_record(How.RUN, Result.FAILED)], [_record(How.RUN)], _record(How.RUN)),
        # What has been run does not become weaker, and what was read becomes stronger.
        ([_record(How.RUN)], [_record(How.READ)], _record(How.RUN)),
        ([_record(How.READ)], [_record(How.REPLAYED)], _record(How.REPLAYED)),
        # Of several tests that show the same in one run, one that fails decides.
        (
            [],
            [_record(How.RUN, Result.FAILED), _record(How.RUN)],
            _record(How.RUN, Result.FAILED),
        ),
        (
            [],
            [_record(How.RUN), _record(How.RUN, Result.FAILED)],
            _record(How.RUN, Result.FAILED),
        ),
    ],
)
def test_new_records_replace_kept_ones(
    kept: list[Record], new: list[Record], expected: Record
) -> None:
    assert records.merged(kept, new) == [expected]


def test_tables_are_in_the_order_of_versions() -> None:
    text = page.tables([_NEW, Record("Bazel", "7.7.1", "builds", How.READ, Result.FAILED), _OLD])
    assert text == (
        "### Nix\n\n| Version | Run | Replayed | Read |\n|---|---|---|---|\n"
        "| 2.8.0 (Debian 12) | copies |  |  |\n| 2.26.3 | copies |  |  |\n\n"
        "### Bazel\n\n| Version | Run | Replayed | Read |\n|---|---|---|---|\n"
        "| 7.7.1 |  |  | **fails:** builds |\n"
    )


def test_a_page_without_a_place_for_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        page.with_tables("# Which Nix it works with\n", [])


_TESTS = """
import pytest

pytest_plugins = ["tests.compatibility.recording"]

@pytest.mark.parametrize("version", ["1", "2"])
def test_it(compatibility, version):
    compatibility("Nix", version, "copies", variant="Debian 12")
    assert version != "2"

def test_no_record(compatibility):
    pass

def test_skipped(compatibility):
    compatibility("Nix", "3", "copies")
    pytest.skip("not today")
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one-process", "workers"])
def test_a_test_leaves_a_record_with_its_outcome(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(_TESTS)
    file = pytester.path / "records.jsonl"
    pytester.runpytest_inprocess(
        "-p", "tests.compatibility.recording", *workers, f"--record={file}"
    )
    found = {(each.version, each.result, each.source) for each in records.read(file)}
    source = "test_a_test_leaves_a_record_with_its_outcome.py"
    assert found == {("1", Result.PASSED, source), ("2", Result.FAILED, source)}
