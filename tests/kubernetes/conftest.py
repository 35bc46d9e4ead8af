"""The base of the overlay: bb-deployments, or a stand-in for it."""

from __future__ import annotations

from pathlib import Path

import pytest

_STAND_IN = Path(__file__).with_name("bb_deployments_stand_in")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bb-deployments",
        type=Path,
        default=_STAND_IN,
        metavar="DIR",
        help="a checkout of bb-deployments (default: a stand-in for it)",
    )


@pytest.fixture(scope="session")
def bb_deployments(pytestconfig: pytest.Config) -> Path:
    """The checkout."""
    folder: Path = pytestconfig.getoption("--bb-deployments").resolve()
    if not (folder / "kubernetes" / "kustomization.yaml").is_file():
        pytest.exit(f"--bb-deployments: {folder} is not a checkout of it", returncode=2)
    return folder
