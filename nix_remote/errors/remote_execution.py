"""The Remote Execution service, as `doctor` and `verify` use it."""

from __future__ import annotations

from nix_remote.errors.base import NixRemoteError


class RemoteExecutionError(NixRemoteError):
    """The Remote Execution service does not run our action."""

    exit_status = 20


class ExecutionServiceUnreachable(RemoteExecutionError):
    code = "execution-service-unreachable"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"cannot reach {url}",
            why=why,
            fix="use the address of Bazel's --remote_executor; grpcs:// if the service uses TLS,\n"
            "with --tls-certificate FILE if your own certificate authority certifies it",
        )


class ExecutionRefused(RemoteExecutionError):
    code = "execution-refused"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{url} does not run our action",
            why=why,
            fix="use the values of Bazel's options: --remote-instance-name, --remote-header,\n"
            "and the properties of the executors: --exec-property",
        )


class ActionNotTaken(RemoteExecutionError):
    code = "action-not-taken"

    def __init__(self, url: str, properties: str, seconds: float) -> None:
        super().__init__(
            f"no executor of {url} accepted our action within {seconds:g} s",
            why=f"it waits for an executor that has {properties}"
            if properties
            else "all executors are busy, or none accepts actions without properties",
            fix="give the properties of the executors, as in Bazel's"
            " remote_default_exec_properties:\n"
            "--exec-property NAME=VALUE; if all are busy: --remote-timeout SECONDS",
        )


class ActionNotFinished(RemoteExecutionError):
    code = "action-not-finished"

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(
            f"an executor of {url} did not finish our action within {seconds:g} s",
            why="the action only reads files: the NFS server does not answer, or is slow",
            fix="on the executor: nix-remote doctor --on-executor; more time: --remote-timeout"
            " SECONDS",
        )
