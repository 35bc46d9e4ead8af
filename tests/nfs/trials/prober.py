"""On the executor: looks for names in vain while they are made, then whether it sees them.

    prober.py SERVER PORT PLAN...

A PLAN is a JSON object (`Plan` in trials.py). All are carried out at the same time, each by a
process of its own; prints a line for each, a JSON object with what was seen.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
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

    def __init__(self, plan: Plan, paths: Sequence[str], choose: random.Random) -> None:
        super().__init__(daemon=True)
        self._store, self._paths, self._choose = plan["store"], paths, choose
        self._pause = plan["between"]
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
            time.sleep(self._choose.expovariate(1 / self._pause))

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


def open_store(plan: Plan) -> None:
    """Opens the store's folder: a client then asks the server whether it has changed."""
    os.close(os.open(plan["store"], os.O_RDONLY | os.O_DIRECTORY))


def stat_store(plan: Plan) -> None:
    """Asks for the folder's attributes, which a client may answer from what it knows."""
    os.stat(plan["store"])


FIRST = {"": lambda plan: None, "open": open_store, "stat": stat_store}


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


def observe(maker: Maker, plan: Plan) -> dict[str, Any]:
    """Runs all trials of a plan."""
    store = plan["store"]
    choose = random.Random(plan["seed"])
    run = f"{random.SystemRandom().randrange(1 << 32):08x}"
    counts = dict.fromkeys(("trials", "targets", "looks", "invisible", "never"), 0)
    delays: list[float] = []
    for trial in range(plan["trials"]):
        names = [f"{run}{trial:06d}{n:02d}{'0' * 16}-trial" for n in range(plan["names"])]
        paths = targets(store, names, plan)
        looks = Looks(plan, paths, choose)
        looks.start()
        time.sleep(choose.uniform(0, 2.5))
        shared = {key: plan[key] for key in ("kind", "files", "pause", "gap")}
        maker.ask(do="make", names=names, **shared)
        looks.stop()
        time.sleep(plan["settle"] or 0)
        FIRST[plan["first"]](plan)
        if plan["settle"] is not None:
            counts["invisible"] += sum(not is_whole(path, plan) for path in paths)
        else:
            delay = seconds_until_whole(paths, plan)
            counts["never"] += delay is None
            delays += [] if delay is None else [round(delay, 3)]
        maker.ask(do="remove", names=names)
        counts["trials"] += 1
        counts["targets"] += len(paths)
        counts["looks"] += looks.count
    return {**counts, "delays": delays}


def main() -> None:
    """Carries out one plan, or starts a process for each of several."""
    server, port, *plans = sys.argv[1:]
    if len(plans) == 1:
        print(json.dumps(observe(Maker(server, int(port)), json.loads(plans[0]))))
        return
    observers = [
        subprocess.Popen([sys.executable, __file__, server, port, plan], stdout=subprocess.PIPE)
        for plan in plans
    ]
    for observer in observers:
        print(observer.communicate()[0].decode(), end="")
    sys.exit(max(observer.returncode for observer in observers))


if __name__ == "__main__":
    main()
