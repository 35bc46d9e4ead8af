"""What every error has: a code, an exit status, three texts, and how they are shown."""

from __future__ import annotations

from typing import ClassVar, Final

from nix_remote.text import printable, shortened

CRASHED: Final = 70
"""Exit status of a defect in nix_remote itself; everything else is below."""


class NixRemoteError(Exception):
    """What happened, why, and what the user can do about it."""

    code: ClassVar[str]
    exit_status: ClassVar[int]

    def __init__(self, what: str, *, why: str = "", fix: str) -> None:
        # Parts may come from a server, and servers can be hostile.
        self.what, self.why, self.fix = (shortened(printable(text)) for text in (what, why, fix))
        super().__init__(self.what)

    def render(self) -> str:
        """The text for people: several lines, no line break at the end."""
        lines = [f"error[{self.code}]: {self.what}"]
        for label, text in (("why", self.why), ("fix", self.fix)):
            if text:
                lines.append(f"  {label}: " + text.replace("\n", "\n       "))
        return "\n".join(lines)
