import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_smoke_tests_exist() -> None:
    tool = (ROOT / "tools" / "test").read_text()
    names = re.findall(r"^ *\"?(tests/\S+\.py)::(\w+)", tool, re.M)
    assert len(names) >= 4
    for file, name in names:
        assert f"def {name}(" in (ROOT / file).read_text()
