"""On the executor: looks for given paths in vain; says how many are invisible when it is asked.

    watcher.py PORT PATH...

A client connects and sends the number of a path in a line; the answer is a line: how many of the
path and the file `file` in it are invisible at that moment.
"""

from __future__ import annotations

import os
import random
import socketserver
import sys
import threading
import time

PATHS = sys.argv[2:]


def inside(path: str) -> tuple[str, str]:
    """The path and the file in it."""
    return path, f"{path}/file"


def look(left: set[str]) -> None:
    """Looks at random moments for what has not been asked for yet."""
    while left:
        os.path.exists(random.choice(inside(random.choice(sorted(left)))))
        time.sleep(random.expovariate(1 / 0.005))


LEFT = set(PATHS)


class Handler(socketserver.StreamRequestHandler):
    """The one that copies."""

    def handle(self) -> None:
        for line in self.rfile:
            path = PATHS[int(line)]
            unseen = sum(not os.path.exists(each) for each in inside(path))
            LEFT.discard(path)
            self.wfile.write(b"%d\n" % unseen)


if __name__ == "__main__":
    threading.Thread(target=look, args=(LEFT,), daemon=True).start()
    socketserver.TCPServer.allow_reuse_address = True
    socketserver.TCPServer(("", int(sys.argv[1])), Handler).serve_forever()
