"""Checks the store on an executor, through the Remote Execution API.

One action runs on one executor, which the service chooses.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Optional, Sequence

from nix_remote.doctor import on_executor
from nix_remote.doctor.finding import Finding, Status, broken, from_error, ok, unknown
from nix_remote.errors import GrpcMissing, RemoteExecutionError
from nix_remote.remote_execution import probe
from nix_remote.remote_execution.endpoint import Endpoint
from nix_remote.store.paths import STORE_DIRECTORY
from nix_remote.text import PeerText

if TYPE_CHECKING:
    from nix_remote.remote_execution.service import Ended, ExecutionService

LAYER: Final = "remote"

_MAKE_VISIBLE: Final = (
    "mount the Nix server's store on the executor: nix-remote setup executor, docs/executors.md\n"
    "the mount may have a negative lookup cache: see `new paths`\n"
    "if the path was never copied: nix-remote copy PATH"
)
_SETTLE: Final = (
    "mount the store on the executor with acdirmin=1,acdirmax=1: nix-remote setup executor\n"
    "or let copies wait as long as the acdirmax of the mount: NIX_REMOTE_SETTLE=SECONDS"
)
_READABLE: Final = "on the server: nix-store --verify --check-contents --repair"


@dataclass(frozen=True)
class VainLook:
    """An action that looked for a path before it was sent."""

    executor: str = ""
    """The executor that ran it; empty if the service does not report it."""
    failures: Sequence[Finding] = ()
    """Why no action ran."""


@dataclass(frozen=True)
class Executors:
    """The executors of a service."""

    endpoint: Endpoint
    service: ExecutionService
    settle: float
    """The settle time of copies, in seconds."""

    def look_in_vain(self, path: str, shells: Sequence[str]) -> VainLook:
        """Has an action look for a path that has not been sent yet.

        If `examine` is called the settle time after the path became valid, it shows whether that
        time is long enough. `shells` as for `examine`. If no action runs, this object cannot be
        used any more.
        """
        found: list[Finding] = []
        try:
            found += self._check()
            looked = self._probe([path], (probe.SHELL, *shells))
        except RemoteExecutionError as error:
            self.service.close()
            return VainLook(failures=[*found, from_error(LAYER, _subject(found), error)])
        if looked.result is None:
            self.service.close()
            return VainLook(failures=[*found, *looked.findings])
        return VainLook(looked.executor)

    def examine(
        self, paths: Sequence[str], shells: Sequence[str] = (), before: VainLook = VainLook()
    ) -> list[Finding]:
        """Whether one of the executors sees these paths. `shells` are tried after `/bin/sh`.

        `before`: an action that looked for these paths in vain before they were sent.
        """
        found: list[Finding] = []
        try:
            found += self._check()
            looked = self._probe(paths, (probe.SHELL, *shells))
        except RemoteExecutionError as error:
            return [*found, from_error(LAYER, _subject(found), error)]
        finally:
            self.service.close()
        if looked.result is None:
            return [*found, *looked.findings]
        same = looked.executor if looked.executor == before.executor else ""
        judged = judge(looked.result, paths, self.settle, looked_before=same)
        return [*found, *looked.findings, *judged]

    def _check(self) -> list[Finding]:
        capabilities = self.service.check()
        return [ok(LAYER, "service", f"{self.endpoint.url} runs actions; {capabilities}")]

    def _probe(self, paths: Sequence[str], shells: Sequence[str]) -> _Looked:
        # The executor's own shell first: the store may be missing.
        failures = []
        for shell in shells:
            action = probe.build(shell, paths, self.endpoint.properties, self.endpoint.timeout)
            ended = self.service.run(action)
            result = probe.read(ended.stdout.plain, len(paths))
            if result is not None:
                executor = ended.worker or PeerText("an executor")
                finding = ok(LAYER, "executor", f"{executor} ran {shell}")
                return _Looked([finding], result, ended.worker.shown())
            failures.append(f"{shell}: {_reason(ended)}")
        return _Looked([_no_shell(failures)])


def _subject(found: Sequence[Finding]) -> str:
    """What an error is about: the service, until that has been checked."""
    return "executor" if found else "service"


@dataclass(frozen=True)
class _Looked:
    """What an action found."""

    findings: Sequence[Finding]
    result: Optional[probe.ProbeResult] = None
    """None if no shell ran."""
    executor: str = ""


def executors(endpoint: Endpoint, settle: float) -> Executors:
    """The executors of a service. Sends nothing. Raises `GrpcMissing`.

    `settle`: the settle time of copies, in seconds.
    """
    try:
        from nix_remote.remote_execution.service import ExecutionService
    except ModuleNotFoundError:
        raise GrpcMissing(sys.executable) from None
    return Executors(endpoint, ExecutionService(endpoint), settle)


def judge(
    result: probe.ProbeResult, paths: Sequence[str], settle: float, looked_before: str = ""
) -> list[Finding]:
    """The findings about the mount and the paths on an executor.

    `looked_before`: the executor, if it looked for the paths in vain before they were sent.
    """
    mount = on_executor.mount_of(STORE_DIRECTORY, result.mountinfo)
    when = ""
    if looked_before and mount is not None:
        when = f" {settle:g} s after it became valid, although {looked_before} had looked before"
    return [*_mount(result, mount, settle), *(_path(path, result, when) for path in paths)]


def _mount(
    result: probe.ProbeResult, mount: Optional[on_executor.Mount], settle: float
) -> list[Finding]:
    if mount is None and not result.absent:
        text = f"{STORE_DIRECTORY} is not a mount of its own for actions"
        return [unknown("mount", "store", text)]
    return [
        Finding(each.layer, each.subject, Status(each.status), each.text, each.fix)
        for each in on_executor.judge_mount(mount, settle)
    ]


def _path(path: str, result: probe.ProbeResult, when: str) -> Finding:
    if path in result.absent and when:
        return broken("path", path, f"not visible to actions{when}", _SETTLE)
    if path in result.absent:
        return broken("path", path, "not visible to actions", _MAKE_VISIBLE)
    if path in result.unreadable:
        return broken("path", path, "not readable for actions", _READABLE)
    return ok("path", path, f"visible and readable for actions{when}")


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
