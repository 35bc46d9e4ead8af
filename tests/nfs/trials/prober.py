"""On the executor: looks for names in vain while they are made, then whether it sees them.

    prober.py SERVER PORT PLAN

PLAN is a JSON object (`Plan` in trials.py). Prints a JSON object with what was seen.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import threading
import time
from typing import Any, Optional, Sequence

Plan = dict[str, Any]

CHUNK = 65536


class Maker:
    """The program on the server."""

    def __init__(self, server: str, port: int) -> None:
        connection = socket.create_connection((server, port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = connection.makefile("rwb")

    def ask(self, **request: object) -> None:
        """Returns when it is done."""
        self._stream.write(json.dumps(request).encode() + b"\n")
        self._stream.flush()
        assert self._stream.readline() == b"done\n", "the maker has failed"


class Looks(threading.Thread):
    """Looks for paths at random moments, and at their folder, until it is stopped."""

    def __init__(self, store: str, paths: Sequence[str], choose: random.Random) -> None:
        super().__init__(daemon=True)
        self._store, self._paths, self._choose = store, paths, choose
        self._stopped = threading.Event()
        self.count = 0

    def run(self) -> None:
        while not self._stopped.is_set():
            what = self._choose.random()
            try:
                if what < 0.02:
                    os.listdir(self._store)
                elif what < 0.05:
                    os.stat(self._store)
                else:
                    self.count += 1
                    with open(self._choose.choice(self._paths), "rb") as file:
                        file.read()
            except OSError:
                pass
            time.sleep(self._choose.expovariate(1 / 0.015))

    def stop(self) -> None:
        """Returns when it looks no more."""
        self._stopped.set()
        self.join()


def is_whole(path: str, plan: Plan) -> bool:
    """Whether a path is seen, and as it was made."""
    try:
        if plan["kind"] != "growing":
            os.stat(path)
            return True
        with open(path, "rb") as file:
            seen = file.read()
    except OSError:
        return False
    return seen == b"".join(bytes([65 + n % 26]) * CHUNK for n in range(plan["files"]))


def targets(store: str, names: Sequence[str], plan: Plan) -> list[str]:
    """The paths of a trial, and the files in them."""
    paths = [f"{store}/{name}" for name in names]
    if plan["kind"] in ("in-place", "renamed"):
        paths += [f"{path}/f{number}" for path in paths for number in range(plan["files"])]
    return paths


def seconds_until_whole(paths: Sequence[str], plan: Plan) -> Optional[float]:
    """Seconds, from now, until all are seen; None after the limit."""
    begun = time.monotonic()
    left = set(paths)
    while left:
        left = {path for path in left if not is_whole(path, plan)}
        if time.monotonic() - begun > plan["limit"]:
            return None
        if left:
            time.sleep(0.01)
    return time.monotonic() - begun


def main() -> None:
    """Runs all trials of the plan."""
    maker, plan = Maker(sys.argv[1], int(sys.argv[2])), json.loads(sys.argv[3])
    store = plan["store"]
    choose = random.Random(plan["seed"])
    run = f"{random.SystemRandom().randrange(1 << 32):08x}"
    seen: dict[str, Any] = {
        "trials": 0,
        "targets": 0,
        "looks": 0,
        "invisible": 0,
        "delays": [],
        "never": 0,
    }
    for trial in range(plan["trials"]):
        names = [f"{run}{trial:06d}{n:02d}{'0' * 16}-trial" for n in range(plan["names"])]
        paths = targets(store, names, plan)
        looks = Looks(store, paths, choose)
        looks.start()
        time.sleep(choose.uniform(0, 2.5))
        shared = {key: plan[key] for key in ("kind", "files", "pause", "gap")}
        maker.ask(do="make", names=names, **shared)
        looks.stop()
        if plan["settle"] is not None:
            time.sleep(plan["settle"])
            seen["invisible"] += sum(not is_whole(path, plan) for path in paths)
        else:
            delay = seconds_until_whole(paths, plan)
            seen["never"] += delay is None
            seen["delays"] += [] if delay is None else [round(delay, 3)]
        maker.ask(do="remove", names=names)
        seen["trials"] += 1
        seen["targets"] += len(paths)
        seen["looks"] += looks.count
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
