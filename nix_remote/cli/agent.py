"""`nix-remote agent`: the process that copies for all invocations of a user."""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import partial
from typing import ContextManager, Final

from nix_remote import processes, settings
from nix_remote.agent import lifecycle, request_queue
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.listener import OwnSocket, inherited
from nix_remote.agent.registry import QueueRegistry
from nix_remote.agent.request_handler import RequestHandler
from nix_remote.agent.server import Duties, Server
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
user: no login for each, no path sent twice, no question about what it knows already."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = add_action(actions, "start", "start one in the background, if there is none")
    run = add_action(
        actions, "run", "be one, in the foreground: for containers, CI steps and service managers"
    )
    for action in (start, run):
        action.add_argument(
            "--idle",
            type=common.duration,
            metavar="TIME",
            help="leave when nobody came for so long (default: NIX_REMOTE_AGENT_IDLE, else 60s)",
        )
    add_action(actions, "status", "tell whether there is one, and what it has done")
    add_action(actions, "stop", "let it finish what has begun, and wait until it has left")


def _run(options: argparse.Namespace) -> Result:
    try:
        folder = connecting.folder()
        actions = {"start": _start, "run": _serve, "status": _status, "stop": _stop}
        return Result(
            "agent", {"action": options.action, **actions[options.action](options, folder)}
        )
    except (framing.Unusable, framing.Lost) as error:
        raise AgentNotStarted(str(error) or "it ended") from None


def _start(options: argparse.Namespace, folder: str) -> dict[str, object]:
    deadline = time.monotonic() + _START_UP
    while lifecycle.is_lead(lifecycle.told_by(folder)) and time.monotonic() < deadline:
        time.sleep(_PAUSE)  # a copier serves: it leaves when its own copy is done
    if lifecycle.told_by(folder) is None:
        idle = [] if options.idle is None else [f"--idle={options.idle:g}s"]
        processes.start_detached(lifecycle.own_command("agent", "run", *idle))
        if not lifecycle.wait_for_server(folder, _START_UP):
            raise AgentNotStarted(f"nobody listens in {folder} after {_START_UP:g} s")
    told = lifecycle.told_by(folder)
    if lifecycle.is_lead(told):
        raise AgentNotStarted("a copy that has begun without an agent is not done yet")
    return {"agent": told}


def _status(_options: argparse.Namespace, folder: str) -> dict[str, object]:
    return {"agent": lifecycle.told_by(folder)}


def _stop(_options: argparse.Namespace, folder: str) -> dict[str, object]:
    told = lifecycle.told_by(folder)
    if told is None or lifecycle.is_lead(told):
        return {"agent": None}
    lifecycle.stop(folder, told["pid"])
    return {"agent": told}


def _serve(options: argparse.Namespace, folder: str) -> dict[str, object]:
    idle = options.idle if options.idle is not None else settings.agent_idle()
    environment = settings.own_environment()
    place = inherited(environment, folder) or _own_place(folder)
    log = lifecycle.open_log(environment.get("XDG_STATE_HOME", ""))
    # The folder in which it was started may go, and is none of its clients'.
    os.chdir("/")
    stay = lifecycle.Stay(idle)
    stay.obey_signals()
    threads = Threads(log, stay.end)
    registry = QueueRegistry(threads)

    def find_queue(request: CopyRequest) -> ContextManager[CopyQueue]:
        new_queue = partial(request_queue.new_queue, request)
        return registry.queue(request_queue.key(request), new_queue)

    duties = Duties(
        handle=RequestHandler(client_invocation.parse_with(copy.COMMAND), find_queue).handle,
        tell=lambda: _told(registry),
        stop=stay.end_and_wait,
        other_version=stay.end,
        log=log,
    )
    server = Server(place, duties, threads)
    registry.somebody_arrives = server.somebody_arrives
    server.start()
    log(f"serving in {folder}")
    why = stay.out(server, registry.close_replaced)
    if threads.failed:
        why = "a thread of it has failed"
    log(f"leaving: {why}")
    server.resign()
    registry.finish()
    stay.left.set()
    server.dismiss()
    log("left")
    return {"agent": None, "why": why}


def _own_place(folder: str) -> OwnSocket:
    lead = leadership.try_to_lead(folder)
    if lead is None:
        raise AgentNotStarted("another one serves already: nix-remote agent status")
    return OwnSocket(lead)


def _told(registry: QueueRegistry) -> str:
    return json.dumps(
        {
            "kind": "agent",
            "pid": os.getpid(),
            "version": framing.VERSION,
            "servers": registry.figures(),
        }
    )


def _conclude(result: Result) -> str:
    if result.data["action"] == "run":
        return f"the agent has left: {result.data['why']}"
    told = result.data["agent"]
    if not isinstance(told, dict):
        return "there is no agent"
    done = "stopped" if result.data["action"] == "stop" else "serves"
    lines = [f"the agent {told['pid']} (version {told['version']}) {done}"]
    lines += [
        f"  {each['host']}: {count_of(each['answered'], 'request')} answered,"
        f" {each['without_copy']} of them without asking; {count_of(each['logins'], 'login')},"
        f" {count_of(each['kept'], 'root')} kept"
        for each in told["servers"]
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
