"""The only package that starts local processes.

What a process writes to standard error is kept for the error message. No process outlives its
caller, except the agent, which is meant to. Every wait for a process has a bound.

`piped` and `on_socket` are for `with` blocks, `polled` for two threads, `unattended` for processes
without input and output.
"""

from __future__ import annotations

from nix_remote.processes.child import ProcessFailed
from nix_remote.processes.on_socket import Attached, attached
from nix_remote.processes.piped import Process, process
from nix_remote.processes.polled import BoundProcess, PolledProcess
from nix_remote.processes.unattended import exit_status, start_detached

__all__ = [
    "Attached",
    "BoundProcess",
    "PolledProcess",
    "Process",
    "ProcessFailed",
    "attached",
    "exit_status",
    "process",
    "start_detached",
]
