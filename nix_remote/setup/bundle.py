"""Files for another machine, and the shell script that installs them.

Belongs here: what all generators share. Not: the content of the files (the generators).
Pure: values in, text out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Sequence

SCRIPT_NAME: Final = "apply.sh"

_END: Final = "END-OF-FILE"


@dataclass(frozen=True)
class File:
    """A generated file."""

    path: str
    """Absolute on the other machine, or relative to a folder that the user chooses."""
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Bundle:
    """The output of a generator."""

    files: tuple[File, ...]
    use: str
    """The next step for the user, for the last line of the command's output."""
    script: str = ""
    """For root on the other machine: writes the files, and runs the other steps. May be empty."""

    def written(self) -> tuple[File, ...]:
        """The files that `--out` writes, relative to its folder, including the script if any.

        The script does not read the other files: the other machine needs only the script.
        """
        files = tuple(File(file.path.lstrip("/"), file.text, file.mode) for file in self.files)
        return (*files, File(SCRIPT_NAME, self.script, 0o755)) if self.script else files

    def printed(self) -> str:
        """The printed form: the script, or else the files, each after a line with its name."""
        if self.script:
            return self.script
        if len(self.files) == 1:
            return self.files[0].text
        return "\n".join(f"# ----- {file.path}\n{file.text}" for file in self.files)


def script(head: str, *parts: str) -> str:
    """A script for a shell's standard input that does nothing unless it has arrived completely.

    If the connection breaks, the shell has only the beginning of a function, which is not called.
    """
    body = "\n".join(parts)
    return f"{head}main() {{\n{body}}}\nmain\n"


def put(files: Sequence[File]) -> str:
    """Shell commands that write files atomically, and create their folders."""
    return "\n".join(_put(file) for file in files)


def here_document(file: File) -> str:
    """A here-document with the text of a file, from `<<` on."""
    if _END in file.text:
        raise ValueError(f"{file.path} contains the end mark of its here-document")
    return f"<<'{_END}'\n{file.text}{_END}\n"


def _put(file: File) -> str:
    folder = file.path.rpartition("/")[0]
    return (
        f"mkdir -p {folder}\n"
        f"cat >{file.path}.new {here_document(file)}"
        f"chmod {file.mode:o} {file.path}.new\n"
        f"mv {file.path}.new {file.path}\n"
    )
