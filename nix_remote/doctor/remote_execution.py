"""Checks the store on an executor, through the Remote Execution API.

One action runs on one executor, which the service chooses.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Sequence

from nix_remote.doctor import on_executor
from nix_remote.doctor.finding import Finding, Status, broken, from_error, ok, unknown
from nix_remote.errors import GrpcMissing, RemoteExecutionError
from nix_remote.remote_execution import probe
from nix_remote.remote_execution.endpoint import Endpoint
from nix_remote.store.paths import STORE_DIRECTORY

if TYPE_CHECKING:
    from nix_remote.remote_execution.service import Ended, ExecutionService

LAYER: Final = "remote"

_MAKE_VISIBLE: Final = (
    "mount the Nix server's store on the executor: nix-remote setup executor, docs/executors.md\n"
    "the mount may have a negative lookup cache: see `new paths`\n"
    "if the path was never copied: nix-remote copy PATH"
)
_READABLE: Final = "on the server: nix-store --verify --check-contents --repair"


@dataclass(frozen=True)
class Executors:
    """The executors of a service."""

    endpoint: Endpoint
    service: ExecutionService
    settle: float
    """The settle time of copies, in seconds."""

    def examine(self, paths: Sequence[str], shells: Sequence[str] = ()) -> list[Finding]:
        """Whether one of the executors sees these paths. `shells` are tried after `/bin/sh`."""
        found = []
        subject = "service"
        try:
            capabilities = self.service.check()
            found.append(ok(LAYER, subject, f"{self.endpoint.url} runs actions; {capabilities}"))
            subject = "executor"
            return found + self._probe(paths, (probe.SHELL, *shells))
        except RemoteExecutionError as error:
            return [*found, from_error(LAYER, subject, error)]
        finally:
            self.service.close()

    def _probe(self, paths: Sequence[str], shells: Sequence[str]) -> list[Finding]:
        # The executor's own shell first: the store may be missing.
        failures = []
        for shell in shells:
            action = probe.build(shell, paths, self.endpoint.properties, self.endpoint.timeout)
            ended = self.service.run(action)
            result = probe.read(ended.stdout.plain, len(paths))
            if result is not None:
                executor = ended.worker or "an executor"
                found = judge(result, paths, self.settle)
                return [ok(LAYER, "executor", f"{executor} ran {shell}"), *found]
            failures.append(f"{shell}: {_reason(ended)}")
        return [_no_shell(failures)]


def executors(endpoint: Endpoint, settle: float) -> Executors:
    """The executors of a service. Sends nothing. Raises `GrpcMissing`.

    `settle`: the settle time of copies, in seconds.
    """
    try:
        from nix_remote.remote_execution.service import ExecutionService
    except ModuleNotFoundError:
        raise GrpcMissing(sys.executable) from None
    return Executors(endpoint, ExecutionService(endpoint), settle)


def judge(result: probe.ProbeResult, paths: Sequence[str], settle: float) -> list[Finding]:
    """The findings about the mount and the paths on an executor."""
    return [*_mount(result, settle), *(_path(path, result) for path in paths)]


def _mount(result: probe.ProbeResult, settle: float) -> list[Finding]:
    mount = on_executor.mount_of(STORE_DIRECTORY, result.mountinfo)
    if mount is None and not result.absent:
        text = f"{STORE_DIRECTORY} is not a mount of its own for actions"
        return [unknown("mount", "store", text)]
    return [
        Finding(each.layer, each.subject, Status(each.status), each.text, each.fix)
        for each in on_executor.judge_mount(mount, settle)
    ]


def _path(path: str, result: probe.ProbeResult) -> Finding:
    if path in result.absent:
        return broken("path", path, "not visible to actions", _MAKE_VISIBLE)
    if path in result.unreadable:
        return broken("path", path, "not readable for actions", _READABLE)
    return ok("path", path, "visible and readable for actions")


def _reason(ended: Ended) -> str:
    """The reason why the shell did not finish, in one line."""
    output = ended.failure.shown() or ended.stderr.shown()
    return output.splitlines()[-1] if output else f"exit status {ended.exit_status}"


def _no_shell(failures: Sequence[str]) -> Finding:
    text = f"no shell runs on the executor: {'; '.join(failures)}"
    if len(failures) > 1:
        return broken(LAYER, "shell", text, _MAKE_VISIBLE)
    fix = "nix-remote verify --remote-executor URL PATH, with a path whose closure has Nix's bash"
    return Finding(LAYER, "shell", Status.UNKNOWN, text, fix)
