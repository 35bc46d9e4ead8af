"""`nix-remote agent`: the process that copies for all invocations of a user."""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from typing import Any, ContextManager, Final, Optional, TypedDict

from nix_remote import processes, settings
from nix_remote.agent import lifecycle, request_queue
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.listener import OwnSocket, inherited
from nix_remote.agent.protocol import status_text
from nix_remote.agent.registry import QueueRegistry
from nix_remote.agent.request_handler import RequestHandler
from nix_remote.agent.server import Handlers, Server
from nix_remote.agent.thin_client import connecting, framing, leadership
from nix_remote.agent.threads import Threads
from nix_remote.cli import client_invocation, copy
from nix_remote.cli import options as common
from nix_remote.cli.command import Command, add_action
from nix_remote.cli.render import count_of
from nix_remote.cli.result import Result
from nix_remote.copy.request import CopyRequest
from nix_remote.errors import AgentNotStarted

_START_UP: Final = 15.0
_PAUSE: Final = 0.1

_DESCRIPTION = """\
The agent keeps one connection to each Nix server and copies for all invocations of this
user: one login for all of them, no path sent twice, no round trip for roots that it knows."""


class _AgentData(TypedDict):
    action: str
    agent: Optional[dict[str, Any]]
    """The status of the agent; None if none runs."""


class AgentData(_AgentData, total=False):
    """The data of an action."""

    why: str
    """Why the agent has stopped; for `run`."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = add_action(actions, "start", "start an agent in the background, if none runs")
    run = add_action(
        actions, "run", "run an agent in the foreground, for containers and service managers"
    )
    for action in (start, run):
        action.add_argument(
            "--idle",
            type=common.duration,
            metavar="TIME",
            help="stop after this time without a client (default: NIX_REMOTE_AGENT_IDLE, else 60s)",
        )
    add_action(actions, "status", "show whether an agent runs, and what it has done")
    add_action(actions, "stop", "let the agent finish its requests, and wait until it has exited")


def _run(options: argparse.Namespace) -> Result[AgentData]:
    try:
        folder = connecting.folder()
        actions = {"start": _start, "run": _serve, "status": _status, "stop": _stop}
        return Result("agent", actions[options.action](options, folder))
    except (framing.Unusable, framing.Lost) as error:
        raise AgentNotStarted(str(error) or "the agent exited") from None


def _start(options: argparse.Namespace, folder: str) -> AgentData:
    deadline = time.monotonic() + _START_UP
    while lifecycle.is_lead(lifecycle.query_status(folder)) and time.monotonic() < deadline:
        time.sleep(_PAUSE)  # a lead serves, and ends with its own copy
    if lifecycle.query_status(folder) is None:
        idle = [] if options.idle is None else [f"--idle={options.idle:g}s"]
        processes.start_detached(lifecycle.own_command("agent", "run", *idle))
        if not lifecycle.wait_for_server(folder, _START_UP):
            raise AgentNotStarted(f"no agent listens in {folder} after {_START_UP:g} s")
    status = lifecycle.query_status(folder)
    if lifecycle.is_lead(status):
        raise AgentNotStarted("a copy that was started without an agent is still running")
    return {"action": "start", "agent": status}


def _status(_options: argparse.Namespace, folder: str) -> AgentData:
    return {"action": "status", "agent": lifecycle.query_status(folder)}


def _stop(_options: argparse.Namespace, folder: str) -> AgentData:
    status = lifecycle.query_status(folder)
    if status is None or lifecycle.is_lead(status):
        return {"action": "stop", "agent": None}
    lifecycle.stop(folder, status["pid"])
    return {"action": "stop", "agent": status}


def _serve(options: argparse.Namespace, folder: str) -> AgentData:
    idle = options.idle if options.idle is not None else settings.agent_idle()
    environment = settings.own_environment()
    listener = inherited(environment, folder) or _own_socket(folder)
    log = lifecycle.open_log(environment.get("XDG_STATE_HOME", ""))
    # The folder in which it was started may be removed, and is not that of its clients.
    os.chdir("/")
    lifetime = lifecycle.Lifetime(idle)
    lifetime.handle_signals()
    threads = Threads(log, lifetime.stop)
    registry = QueueRegistry(threads)

    def find_queue(request: CopyRequest) -> ContextManager[CopyQueue]:
        new_queue = partial(request_queue.new_queue, request)
        return registry.queue(request_queue.key(request), new_queue)

    handlers = Handlers(
        run=RequestHandler(client_invocation.parse_with(copy.COMMAND), find_queue).handle,
        status=lambda: status_text("agent", os.getpid(), registry.status()),
        stop=lifetime.stop_and_wait,
        other_version=lifetime.stop,
        log=log,
    )
    server = Server(listener, handlers, threads)
    registry.clients_connecting = server.clients_connecting
    server.start()
    log(f"serving in {folder}")
    why = lifetime.wait(server, registry.close_replaced)
    if threads.failed:
        why = "one of its threads failed"
    log(f"stopping: {why}")
    server.stop_accepting()
    registry.finish()
    lifetime.finished.set()
    server.close_connections()
    log("stopped")
    return {"action": "run", "agent": None, "why": why}


def _own_socket(folder: str) -> OwnSocket:
    lead = leadership.try_to_lead(folder)
    if lead is None:
        raise AgentNotStarted("another agent is running (see: nix-remote agent status)")
    return OwnSocket(lead)


def _conclude(data: AgentData) -> str:
    if data["action"] == "run":
        return f"the agent has stopped: {data['why']}"
    status = data["agent"]
    if status is None:
        return "no agent is running"
    state = "has stopped" if data["action"] == "stop" else "is running"
    lines = [f"the agent {status['pid']} (version {status['version']}) {state}"]
    lines += [
        f"  {each['host']}: {count_of(each['answered'], 'request')} answered"
        f" ({each['without_copy']} without a copy), {count_of(each['logins'], 'login')},"
        f" {count_of(each['kept'], 'known root')}"
        for each in status["servers"]
    ]
    return "\n".join(lines)


COMMAND = Command(
    name="agent",
    summary="the process that copies for all invocations: start, run, status, stop",
    description=_DESCRIPTION,
    add_options=_add_options,
    run=_run,
    conclude=_conclude,
)
