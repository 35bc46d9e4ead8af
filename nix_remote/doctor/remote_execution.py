"""Has an executor look at the store, through the Remote Execution API, and judges what it saw.

One action is one executor: whichever the service chose.
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

_LET_IT_SEE: Final = (
    "let actions see the Nix server's store: nix-remote setup executor, docs/executors.md\n"
    "a mount may remember that it was absent: see `new paths`\n"
    "what was never copied: nix-remote copy PATH"
)
_READABLE: Final = "on the server: nix-store --verify --check-contents --repair"


@dataclass(frozen=True)
class Executors:
    """The executors of a service."""

    endpoint: Endpoint
    service: ExecutionService

    def examine(self, paths: Sequence[str], shells: Sequence[str] = ()) -> list[Finding]:
        """Whether one of them sees these paths. `shells` of the store may look, too."""
        found = []
        subject = "service"
        try:
            capabilities = self.service.check()
            found.append(ok(LAYER, subject, f"{self.endpoint.url} runs actions; {capabilities}"))
            subject = "executor"
            return found + self._look(paths, (probe.SHELL, *shells))
        except RemoteExecutionError as error:
            return [*found, from_error(LAYER, subject, error)]
        finally:
            self.service.close()

    def _look(self, paths: Sequence[str], shells: Sequence[str]) -> list[Finding]:
        # The executor's own shell first: of the store, nothing may be there.
        failures = []
        for shell in shells:
            action = probe.build(shell, paths, self.endpoint.properties, self.endpoint.timeout)
            ended = self.service.run(action)
            result = probe.read(ended.stdout.plain, len(paths))
            if result is not None:
                who = ended.worker or "an executor"
                return [ok(LAYER, "executor", f"{who} looks with {shell}"), *judge(result, paths)]
            failures.append(f"{shell}: {_reason(ended)}")
        return [_no_shell(failures)]


def executors(endpoint: Endpoint) -> Executors:
    """Those of a service. Nothing is sent yet. Raises `GrpcMissing`."""
    try:
        from nix_remote.remote_execution.service import ExecutionService
    except ModuleNotFoundError:
        raise GrpcMissing(sys.executable) from None
    return Executors(endpoint, ExecutionService(endpoint))


def judge(result: probe.ProbeResult, paths: Sequence[str]) -> list[Finding]:
    """What is wrong with the mount and the paths, as an executor saw them."""
    return [*_mount(result), *(_path(path, result) for path in paths)]


def _mount(result: probe.ProbeResult) -> list[Finding]:
    mount = on_executor.mount_of(STORE_DIRECTORY, result.mountinfo)
    if mount is None and not result.absent:
        text = f"what actions see in {STORE_DIRECTORY} has no mount of its own"
        return [unknown("mount", "store", text)]
    return [
        Finding(each.layer, each.subject, Status(each.status), each.text, each.fix)
        for each in on_executor.judge_mount(mount)
    ]


def _path(path: str, result: probe.ProbeResult) -> Finding:
    if path in result.absent:
        return broken("path", path, "actions do not see it", _LET_IT_SEE)
    if path in result.unreadable:
        return broken("path", path, "actions cannot read it", _READABLE)
    return ok("path", path, "actions see it, and can read it")


def _reason(ended: Ended) -> str:
    """Why nothing was seen, in one line."""
    said = ended.failure.shown() or ended.stderr.shown()
    return said.splitlines()[-1] if said else f"it ended with {ended.exit_status}"


def _no_shell(failures: Sequence[str]) -> Finding:
    text = f"no shell runs there: {'; '.join(failures)}"
    if len(failures) > 1:
        return broken(LAYER, "shell", text, _LET_IT_SEE)
    fix = "nix-remote verify --remote-executor URL PATH, with a path that needs Nix's bash as well"
    return Finding(LAYER, "shell", Status.UNKNOWN, text, fix)
