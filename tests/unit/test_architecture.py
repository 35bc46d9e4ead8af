import re

from tests import architecture
from tests.unit.test_layers import LAYERS


def test_the_diagrams_are_made_from_the_tables_that_the_imports_are_checked_against() -> None:
    page = architecture.PAGE.read_text()
    assert page == architecture.updated(page), "run python -m tests.architecture"


def test_every_package_is_described() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", architecture.PAGE.read_text(), re.M)
    assert sorted(rows) == sorted(name for layer in LAYERS for name in layer)
