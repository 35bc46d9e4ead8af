"""Single actions, run by `trexe`, the client of buildbox for the Remote Execution API.

Like Bazel 8 and later, it uses the later versions of the API: outputs are paths, and properties
are part of the action. Bazel 7, which the lab has, does neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Mapping, Sequence

from lab.commands import Outcome
from lab.host import Host

_BOUND: Final = 90.0


@dataclass(frozen=True)
class Ended:
    """An action that has ended, or that no executor took."""

    outcome: Outcome
    """The output of `trexe`, with that of the action."""
    outputs: Mapping[str, str]
    """The content of the outputs that exist."""


def act(
    client: Host,
    service: str,
    argv: Sequence[str],
    properties: Mapping[str, str],
    outputs: Sequence[str] = (),
    inputs: Mapping[str, str] = MappingProxyType({}),
) -> Ended:
    """Runs a command on an executor of `service` (`HOST:PORT`), and uses no cached result.

    `inputs` are files: names and texts.
    """
    folder, given = client.sh("mktemp -d; mktemp -d").split()
    for name, text in inputs.items():
        client.write(f"{given}/{name}", text)
    wanted = ",".join(f"{name}={properties[name]}" for name in sorted(properties))
    words = [
        "trexe",
        f"--remote=http://{service}",
        "--skip-cache-lookup",
        "--do-not-cache",
        f"--platform-properties={wanted}",
        f"--d={folder}",
        *(f"--input-path={given}/{each}:{each}" for each in inputs),
        *(f"--output-path={each}" for each in outputs),
    ]
    outcome = client.run([*words, *argv], timeout=_BOUND)
    made = client.sh(f"cd {folder}; find . -type f | sed 's,^./,,'").split()
    return Ended(outcome, {each: client.read(f"{folder}/{each}") for each in made})
