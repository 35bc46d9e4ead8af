"""The combinations of Python and libraries, and what is installed for each.

Every Python with the oldest and with the newest libraries; and one Python with every cryptography
beside the newest paramiko, and every paramiko beside a few versions of cryptography.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PYTHONS: Final = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
_USUAL: Final = "3.13"
"""The Python with which libraries are combined."""

PARAMIKO: Final = ("3.4.0", "3.5.1", "4.0.0", "5.1.0")
CRYPTOGRAPHY: Final = (
    *("41.0.0", "42.0.8", "43.0.3", "44.0.3", "45.0.7", "46.0.7"),
    *("47.0.0", "48.0.1", "49.0.0", "50.0.2"),
)
SSHCONF: Final = "0.2.7"
"""The oldest that is asked for is the newest that there is."""

_OLDEST_GRPCIO: Final = {"3.13": "1.66.2", "3.14": "1.75.1"}
"""The first version that was built for a Python, if that is not the oldest one asked for."""

_TOOLS: Final = ("hypothesis", "pytest", "pytest-timeout")


@dataclass(frozen=True)
class Cell:
    """One combination."""

    python: str
    name: str
    paramiko: str
    cryptography: str
    grpcio: str
    """Empty: the newest that is built for the Python."""

    @property
    def is_newest(self) -> bool:
        return (self.paramiko, self.cryptography) == (PARAMIKO[-1], CRYPTOGRAPHY[-1])

    @property
    def folder(self) -> str:
        """Where its virtual environment is."""
        return f"/opt/cells/{self.name}"

    @property
    def packages(self) -> tuple[str, ...]:
        """What pip installs."""
        return (
            f"paramiko=={self.paramiko}",
            f"cryptography=={self.cryptography}",
            f"sshconf=={SSHCONF}",
            f"grpcio=={self.grpcio}" if self.grpcio else "grpcio",
            *_TOOLS,
        )

    def __str__(self) -> str:
        return f"{self.python}-{self.name}"


def cells() -> list[Cell]:
    """All of them, by Python."""
    found = []
    for python in PYTHONS:
        oldest = _OLDEST_GRPCIO.get(python, "1.60.0")
        found.append(Cell(python, "oldest", PARAMIKO[0], CRYPTOGRAPHY[0], oldest))
        found.append(Cell(python, "newest", PARAMIKO[-1], CRYPTOGRAPHY[-1], ""))
    return sorted([*found, *_combined()], key=lambda cell: PYTHONS.index(cell.python))


def _combined() -> list[Cell]:
    ends = {(PARAMIKO[0], CRYPTOGRAPHY[0]), (PARAMIKO[-1], CRYPTOGRAPHY[-1])}
    return [
        Cell(_USUAL, f"{paramiko}-{cryptography}", paramiko, cryptography, "")
        for paramiko in PARAMIKO
        for cryptography in CRYPTOGRAPHY
        if (paramiko, cryptography) not in ends and _is_telling(paramiko, cryptography)
    ]


def _is_telling(paramiko: str, cryptography: str) -> bool:
    """Each cryptography with the newest paramiko; each paramiko with a few of cryptography's."""
    if paramiko == PARAMIKO[-1]:
        return True
    # From 43 on it warns of what paramiko before 4 loads.
    return cryptography in (CRYPTOGRAPHY[0], "43.0.3", CRYPTOGRAPHY[-1])
