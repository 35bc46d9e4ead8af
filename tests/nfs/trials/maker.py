"""On the server: makes store paths, and removes them, when a prober asks for it.

    maker.py PORT

One JSON object in a line, over TCP, is a request; the answer is a line as soon as it is done. This
is what Nix does to the disk, without Nix: a trial takes no longer than it must.
"""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import sys
import time
from typing import Any

Request = dict[str, Any]

STORE = "/nix/store"
CHUNK = 65536


def make_canonical(path: str) -> None:
    """As Nix leaves a path: for reading only, and a second old since 1970."""
    os.chmod(path, 0o555 if os.path.isdir(path) else 0o444)
    os.utime(path, (1, 1))


def fill(folder: str, request: Request) -> None:
    """Puts the files into a folder."""
    for number in range(request["files"]):
        with open(f"{folder}/f{number}", "wb") as file:
            file.write(b"x" * 200)
        time.sleep(request["pause"])
    for number in range(request["files"]):
        make_canonical(f"{folder}/f{number}")


def in_place(path: str, request: Request) -> None:
    """Unpacks as Nix does: a lock, the folder under its last name, its content, no lock."""
    open(f"{path}.lock", "w").close()
    os.mkdir(path)
    fill(path, request)
    make_canonical(path)
    os.unlink(f"{path}.lock")


def renamed(path: str, request: Request) -> None:
    """Under another name, then renamed: as Nix does for what it builds or repairs."""
    draft = f"{STORE}/.draft-{os.path.basename(path)}"
    os.mkdir(draft)
    fill(draft, request)
    os.rename(draft, path)


def bare(path: str, _: Request) -> None:
    """One change of the store's folder, and nothing else."""
    os.mkdir(path)


def growing(path: str, request: Request) -> None:
    """One large file under its last name, written slowly."""
    with open(path, "wb") as file:
        for number in range(request["files"]):
            file.write(bytes([65 + number % 26]) * CHUNK)
            file.flush()
            time.sleep(request["pause"])
    make_canonical(path)


KINDS = {"in-place": in_place, "renamed": renamed, "bare": bare, "growing": growing}


def remove(path: str) -> None:
    """Removes what is there."""
    if os.path.isdir(path):
        os.chmod(path, 0o755)
        shutil.rmtree(path)
    else:
        os.unlink(path)


class Handler(socketserver.StreamRequestHandler):
    """One prober."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        for line in self.rfile:
            request = json.loads(line)
            for name in request["names"]:
                path = f"{STORE}/{name}"
                if request["do"] == "remove":
                    remove(path)
                else:
                    KINDS[request["kind"]](path, request)
                    time.sleep(request["gap"])
            self.wfile.write(b"done\n")


class Server(socketserver.ThreadingTCPServer):
    """All probers at once."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    Server(("", int(sys.argv[1])), Handler).serve_forever()
