"""The lead: an invocation that, while it copies, serves the requests of others to its server."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator, Optional

from nix_remote.agent import request_queue
from nix_remote.agent.client_connection import Declined
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.listener import OwnSocket
from nix_remote.agent.protocol import status_text
from nix_remote.agent.request_handler import Parse, RequestHandler
from nix_remote.agent.server import Handlers, Server
from nix_remote.agent.thin_client import leadership
from nix_remote.agent.threads import CannotStart, Threads
from nix_remote.copy.request import CopyRequest


@contextmanager
def serving(
    parse: Parse, own: CopyRequest, queue: CopyQueue, lead: Optional[leadership.Lead]
) -> Iterator[None]:
    """In the `with` block, carries out requests that can share the copy queue of `own`."""
    if lead is None:
        yield
        return

    own_key = request_queue.key(own)

    @contextmanager
    def find_queue(request: CopyRequest) -> Iterator[CopyQueue]:
        if request_queue.key(request) != own_key:
            raise Declined("this process copies to another server")
        yield queue

    handlers = Handlers(
        run=RequestHandler(parse, find_queue).handle,
        status=lambda: status_text("lead", os.getpid(), [queue.status()]),
        stop=lambda: None,
        other_version=lambda: None,
        log=lambda _: None,
    )
    # If a thread fails, no more clients are accepted; the copy goes on.
    threads = Threads(lambda _: None, lambda: server.stop_accepting())
    server = Server(OwnSocket(lead), handlers, threads)
    queue.clients_connecting = server.clients_connecting
    try:
        try:
            server.start()
        except CannotStart:
            server.stop_accepting()
        yield
    finally:
        server.stop_accepting()
        server.close_connections()
