"""The Remote Execution service, where the doctor asks it."""

from __future__ import annotations

from nix_remote.errors.base import NixRemoteError


class RemoteExecutionError(NixRemoteError):
    """The Remote Execution service does not run our action."""

    exit_status = 20


class ExecutionServiceUnreachable(RemoteExecutionError):
    code = "execution-service-unreachable"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{url} cannot be reached",
            why=why,
            fix="give what --remote_executor of Bazel has; grpcs:// if the service speaks TLS,\n"
            "with --tls-certificate FILE if an authority of your own certifies it",
        )


class ExecutionRefused(RemoteExecutionError):
    code = "execution-refused"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{url} does not run our action",
            why=why,
            fix="give what Bazel's options have: --remote-instance-name, --remote-header,\n"
            "and what executors have: --exec-property",
        )


class ActionNotTaken(RemoteExecutionError):
    code = "action-not-taken"

    def __init__(self, url: str, properties: str, seconds: float) -> None:
        super().__init__(
            f"no executor of {url} has taken our action within {seconds:g} s",
            why=f"it waits for one that has {properties}"
            if properties
            else "all are busy, or none takes actions without properties",
            fix="give what workers have, as remote_default_exec_properties of Bazel does:\n"
            "--exec-property NAME=VALUE; if all are busy: --remote-timeout SECONDS",
        )


class ActionNotFinished(RemoteExecutionError):
    code = "action-not-finished"

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(
            f"an executor of {url} has not finished our action within {seconds:g} s",
            why="it only looks at files: the NFS server does not answer, or is slow",
            fix="on the executor: nix-remote doctor --on-executor; more time: --remote-timeout"
            " SECONDS",
        )
