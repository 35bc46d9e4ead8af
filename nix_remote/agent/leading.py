"""An invocation that leads: while it copies, it takes others' requests to the same server."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import Iterator, Optional

from nix_remote.agent import request_queue
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.listener import OwnSocket
from nix_remote.agent.request_handler import Parse, RequestHandler
from nix_remote.agent.server import Declined, Duties, Server
from nix_remote.agent.thin_client import framing, leadership
from nix_remote.agent.threads import CannotStart, Threads
from nix_remote.copy.request import CopyRequest


@contextmanager
def serving(
    parse: Parse, own: CopyRequest, queue: CopyQueue, lead: Optional[leadership.Lead]
) -> Iterator[None]:
    """Takes requests that can share the queue of our own, in a `with` block."""
    if lead is None:
        yield
        return

    @contextmanager
    def find_queue(request: CopyRequest) -> Iterator[CopyQueue]:
        if request_queue.key(request) != request_queue.key(own):
            raise Declined("this process copies to another server")
        yield queue

    duties = Duties(
        handle=RequestHandler(parse, find_queue).handle,
        tell=lambda: json.dumps(
            {
                "kind": "lead",
                "pid": os.getpid(),
                "version": framing.VERSION,
                "servers": [queue.status()],
            }
        ),
        stop=lambda: None,
        other_version=lambda: None,
        log=lambda _: None,
    )
    # If a thread fails, no more clients are taken; the copy goes on.
    threads = Threads(lambda _: None, lambda: server.resign())
    server = Server(OwnSocket(lead), duties, threads)
    queue.somebody_arrives = server.somebody_arrives
    try:
        try:
            server.start()
        except CannotStart:
            server.resign()
        yield
    finally:
        server.resign()
        server.dismiss()
