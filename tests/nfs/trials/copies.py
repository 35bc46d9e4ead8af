"""Trials with real copies: an executor looks for paths in vain while the copier sends them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.host import Host, wait_until

_PORT: Final = 7001
_FOLDER: Final = Path(__file__).parent

# Copies each path; asks the watcher as soon as the copy has ended. Prints how many were invisible.
_DRIVE: Final = """
import socket, subprocess, sys
address, port, host, settle, *paths = sys.argv[1:]
stream = socket.create_connection((address, int(port))).makefile("rwb")
invisible = 0
copy = ["nix-remote", "copy", "--no-agent", f"--host={host}", f"--settle={settle}"]
for number, path in enumerate(paths):
    subprocess.run([*copy, path], check=True, capture_output=True)
    stream.write(b"%d\\n" % number)
    stream.flush()
    invisible += int(stream.readline())
print(invisible)
"""


def invisible_after_copies(
    workstation: Host, server: Host, executor: Host, *, settle: float, copies: int
) -> int:
    """How many new paths, and files in them, `executor` does not see when their copy has ended.

    The server's store is mounted there.
    """
    paths = workstation.sh(
        f"""
        folder=$(mktemp -d); cd $folder
        for number in $(seq {copies}); do
          mkdir $number-copied; echo $folder > $number-copied/file
        done
        nix-store --add *-copied
        """
    ).split()
    executor.write("/run/watcher.py", (_FOLDER / "watcher.py").read_text())
    executor.start_service("watcher", ["python3", "/run/watcher.py", str(_PORT), *paths])
    try:
        probe = f"exec 3<>/dev/tcp/127.0.0.1/{_PORT}"
        wait_until(lambda: executor.run(["bash", "-c", probe]).status == 0, "the watcher")
        where = [executor.address, str(_PORT), server.name, str(settle)]
        drive = ["python3", "-c", _DRIVE, *where, *paths]
        return int(workstation.run(drive, timeout=10 * copies).check().stdout)
    finally:
        executor.stop_service("watcher")
