"""Puts the diagrams of the layers into docs/architecture.md.

    python -m tests.architecture

They are made from the tables that `tests/unit/test_layers.py` checks the imports against.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Sequence

from tests.unit.test_layers import LAYERS, SSH_LAYERS

PAGE: Final = Path(__file__).parents[1] / "docs" / "architecture.md"

_BEGIN: Final = "<!-- Made by python -m tests.architecture: do not edit. -->"
_END: Final = "<!-- End of what is made. -->"


def updated(page: str) -> str:
    """The page with current diagrams. Raises `ValueError` if a marker is missing."""
    begin, end = page.index(_BEGIN), page.index(_END)
    return page[:begin] + f"{_BEGIN}\n\n{diagrams()}\n" + page[end:]


def diagrams() -> str:
    """Both diagrams, as Markdown."""
    return (
        f"```text\n{_diagram('nix_remote', LAYERS)}\n{_diagram('nix_remote/ssh', SSH_LAYERS)}```\n"
    )


def _diagram(title: str, layers: Sequence[Sequence[str]]) -> str:
    """A box with one row for each layer, the top layer first."""
    rows = ["   ".join(names) for names in layers]
    width = max(map(len, rows))
    border = "─" * (width + 2)
    lines = [f"│ {row:{width}} │" for row in rows]
    separated = f"\n├{border}┤\n".join(lines)
    return f"{title}\n┌{border}┐\n{separated}\n└{border}┘\n"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
