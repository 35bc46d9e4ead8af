"""A Python for the copier that reports each copy. It runs the real copier."""

from __future__ import annotations

from dataclasses import dataclass

from lab.host import Host

_LOG = "/root/copies"

_SCRIPT = f"""\
#!/bin/sh
copies=
words=
for word; do
  if [ "$word" = copy ]; then copies=yes; fi
  if [ -L "$word" ]; then words="$words $(readlink "$word")"; else words="$words $word"; fi
done
if [ "$copies" ]; then echo $words >>{_LOG}; fi
exec /opt/nix-remote/bin/python "$@"
"""


@dataclass(frozen=True)
class Copy:
    """One run of the copier: the words of its command line, with links resolved."""

    words: tuple[str, ...]

    @property
    def store_paths(self) -> set[str]:
        return {word for word in self.words if word.startswith("/nix/store/")}

    def option(self, name: str) -> str:
        """The value of `--name=value`."""
        (value,) = [word for word in self.words if word.startswith(f"--{name}=")]
        return value.partition("=")[2]


@dataclass(frozen=True)
class ObservedPython:
    """The interpreter, for `NIX_REMOTE_PYTHON`."""

    host: Host
    path: str = "/root/observed-python"

    def install(self) -> None:
        self.host.write(self.path, _SCRIPT, mode="755")
        self.host.write(_LOG, "")

    def copies(self) -> list[Copy]:
        """The copies so far, oldest first."""
        return [Copy(tuple(line.split())) for line in self.host.read(_LOG).splitlines()]
