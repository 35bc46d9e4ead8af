"""Files for another machine, and the shell script that puts them there.

Belongs here: the shape all generators share. What the files say belongs to the generators.
Pure: values in, text out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Sequence

SCRIPT_NAME: Final = "apply.sh"

_END: Final = "END-OF-FILE"


@dataclass(frozen=True)
class File:
    """A file to be made."""

    path: str
    """Where it goes: absolute on the other machine, else relative to a folder of one's choice."""
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Bundle:
    """What a generator made."""

    files: tuple[File, ...]
    use: str
    """What a person does with it, for the last line of the command."""
    script: str = ""
    """For root on the other machine: makes the files and does the rest. Empty: no script needed."""

    def written(self) -> tuple[File, ...]:
        """What `--out` writes, relative to its folder: the files, and the script if there is one.

        The script does not read the other files: it is all that the other machine needs.
        """
        files = tuple(File(file.path.lstrip("/"), file.text, file.mode) for file in self.files)
        return (*files, File(SCRIPT_NAME, self.script, 0o755)) if self.script else files

    def printed(self) -> str:
        """What is printed: the script, or else the files, each below a line with its name."""
        if self.script:
            return self.script
        if len(self.files) == 1:
            return self.files[0].text
        return "\n".join(f"# ----- {file.path}\n{file.text}" for file in self.files)


def script(head: str, *parts: str) -> str:
    """A script for a shell's standard input that does nothing unless all of it has arrived.

    A connection that breaks leaves the shell with the beginning of a function that nobody calls.
    """
    body = "\n".join(parts)
    return f"{head}main() {{\n{body}}}\nmain\n"


def put(files: Sequence[File]) -> str:
    """Shell commands that make files, each replaced at once, with the folders above it."""
    return "\n".join(_put(file) for file in files)


def here_document(file: File) -> str:
    """A shell's here-document with the text of a file, from `<<` on."""
    if _END in file.text:
        raise ValueError(f"{file.path} has a line that ends its here-document")
    return f"<<'{_END}'\n{file.text}{_END}\n"


def _put(file: File) -> str:
    folder = file.path.rpartition("/")[0]
    return (
        f"mkdir -p {folder}\n"
        f"cat >{file.path}.new {here_document(file)}"
        f"chmod {file.mode:o} {file.path}.new\n"
        f"mv {file.path}.new {file.path}\n"
    )
