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
    fix_in_bazel: str = ""
    """What helps besides where Bazel has called: an option of Bazel's, most of the time."""

    def __init__(self, what: str, *, why: str = "", fix: str) -> None:
        # Parts may come from a server, and servers can be hostile.
        self.what, self.why, self.fix = (shortened(printable(text)) for text in (what, why, fix))
        super().__init__(self.what)

    @property
    def summary(self) -> str:
        """One line: code and what happened."""
        return f"error[{self.code}]: {' '.join(self.what.split())}"

    def render(self, *, for_bazel: bool = False) -> str:
        """The text for people: several lines, no line break at the end.

        With `for_bazel`, what helps in a fetch of Bazel's is part of the fix.
        """
        in_bazel = self.fix_in_bazel if for_bazel else ""
        fix = "\n".join(filter(None, (self.fix, in_bazel)))
        lines = [f"error[{self.code}]: {self.what}"]
        for label, text in (("why", self.why), ("fix", fix)):
            if text:
                lines.append(f"  {label}: " + text.replace("\n", "\n       "))
        return "\n".join(lines)
