"""What the documentation lists is what there is."""

import re
from pathlib import Path

from nix_remote.errors import CRASHED
from tests.unit.test_errors import LEAVES

DOCS = Path(__file__).parents[2] / "docs"


def test_every_error_is_documented_with_its_status_and_no_other_is() -> None:
    rows = re.findall(
        r"^\| (\d+) \| (?:`([a-z-]+)`)? *\|", (DOCS / "reference" / "errors.md").read_text(), re.M
    )
    documented = {(int(status), code) for status, code in rows}
    assert documented == {(leaf.exit_status, leaf.code) for leaf in LEAVES} | {(CRASHED, "")}


def test_every_variable_that_is_read_is_documented() -> None:
    settings = (DOCS.parent / "nix_remote" / "settings.py").read_text()
    read = set(re.findall(r'"((?:NIX|BAZEL)_[A-Z_]+)"', settings))
    text = (DOCS / "reference" / "command-line.md").read_text()
    assert {name for name in read if f"`{name}`" not in text} == set()


def test_links_between_documents_lead_somewhere() -> None:
    root = DOCS.parent
    for document in [*root.glob("*.md"), *DOCS.rglob("*.md"), *root.glob("examples/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_links_to_headings_lead_somewhere() -> None:
    root = DOCS.parent
    broken = [
        f"{document.name}: {target}#{heading}"
        for document in [*root.glob("*.md"), *DOCS.rglob("*.md"), *root.glob("examples/**/*.md")]
        for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", document.read_text())
        if heading not in headings((document.parent / target if target else document).read_text())
    ]
    assert broken == []


def headings(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    lines = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}
