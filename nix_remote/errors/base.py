"""The base class of all errors: a code, an exit status, three texts, and their rendering."""

from __future__ import annotations

from typing import ClassVar, Final

from nix_remote.text import printable, shortened

CRASHED: Final = 70
"""Exit status of a bug in nix_remote itself."""


class NixRemoteError(Exception):
    """What happened, why, and how the user can fix it."""

    code: ClassVar[str]
    exit_status: ClassVar[int]
    fix_in_bazel: str = ""
    """An additional fix for a copy that Bazel has started, usually an option of Bazel."""

    def __init__(self, what: str, *, why: str = "", fix: str) -> None:
        # The texts may contain output of a server, which may be hostile.
        self.what, self.why, self.fix = (shortened(printable(text)) for text in (what, why, fix))
        super().__init__(self.what)

    @property
    def summary(self) -> str:
        """One line: code and what happened."""
        return f"error[{self.code}]: {' '.join(self.what.split())}"

    def render(self, *, for_bazel: bool = False) -> str:
        """The text for people: several lines, without a line break at the end.

        With `for_bazel`, the fix includes `fix_in_bazel`.
        """
        in_bazel = self.fix_in_bazel if for_bazel else ""
        fix = "\n".join(filter(None, (self.fix, in_bazel)))
        lines = [f"error[{self.code}]: {self.what}"]
        for label, text in (("why", self.why), ("fix", fix)):
            if text:
                lines.append(f"  {label}: " + text.replace("\n", "\n       "))
        return "\n".join(lines)
