"""Runs the checks of the doctor in order. An unreachable layer ends the list."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

from nix_remote import events, output_base, private_key
from nix_remote.doctor import (
    advisories,
    disks,
    exports,
    ssh_checks,
    store,
    trusted_users,
    workspace,
    workspace_files,
)
from nix_remote.doctor.finding import Finding, Status, from_error
from nix_remote.doctor.remote_execution import Executors, VainLook
from nix_remote.errors import NixRemoteError
from nix_remote.local.signing import SigningKey
from nix_remote.local.store import LocalStore
from nix_remote.server import connect
from nix_remote.server.disk_check import DISK_COMMAND
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.server.server_commands import EXPORTS_COMMAND, VERSION_COMMAND
from nix_remote.settings import Settings


@dataclass(frozen=True)
class Target:
    """What is checked."""

    settings: Settings
    key: Optional[SigningKey]
    user: str
    """The local user."""
    folder: Path
    """A folder in the Bazel workspace, if there is one."""
    exported: bool = True
    """Whether the server exports the store over NFS."""
    executors: Optional[Executors] = None
    """The executors that must see the path that is sent, if any."""


def examine(target: Target) -> list[Finding]:
    """Runs every check that is possible."""
    return [*_server(target), *_workspace(target)]


def _server(target: Target) -> list[Finding]:
    settings = target.settings
    try:
        connector = connect.new_connector(settings)
    except NixRemoteError as error:
        return [from_error(ssh_checks.LAYER, "config", error)]
    host = connector.config
    found = [ssh_checks.config(host), *ssh_checks.keys(host), ssh_checks.agent(host)]
    on_executors: list[Finding] = []
    try:
        with connect.open_remote_exec(settings, events.ignore, connector=connector) as remote_exec:
            found += ssh_checks.stages(host, None)
            trial = store.new_trial(target.user)
            shells = _copied_shells(target) if target.executors is not None else []
            look = _look_in_vain(target, trial, shells)
            sent = store.examine(settings, connector, target.key, trial)
            found += sent
            # Before its durable root is removed.
            on_executors = _on_executors(target, trial, shells, look, sent)
            refused = any(each.subject == "trust" and each.status is Status.BROKEN for each in sent)
            found += _server_programs(remote_exec, target, refused=refused)
    except NixRemoteError as error:
        found += ssh_checks.stages(host, error)
    return found + on_executors


def _look_in_vain(target: Target, trial: store.Trial, shells: Sequence[str]) -> VainLook:
    if target.executors is None:
        return VainLook()
    return target.executors.look_in_vain(trial.info.path, shells)


def _on_executors(
    target: Target,
    trial: store.Trial,
    shells: Sequence[str],
    look: VainLook,
    sent: Sequence[Finding],
) -> list[Finding]:
    """What an action finds, no earlier than the end of a copy would be."""
    if target.executors is None or look.failures:
        return list(look.failures)
    if any(each.status is not Status.OK for each in sent):
        return target.executors.examine([], shells)
    time.sleep(target.settings.settle)
    return target.executors.examine([trial.info.path], shells, look)


def _copied_shells(target: Target) -> list[str]:
    """A shell that executors should see: one that was copied for the workspace."""
    root = workspace_files.root(target.folder)
    base = output_base.of(root) if root is not None else None
    host = target.settings.host
    made = _manifests(target, base).manifests if base is not None else ()
    copied = [path for each in made if each.host == host for path in each.paths]
    return LocalStore(target.settings.local_store).shells(copied)


def _manifests(target: Target, base: Path) -> output_base.Found:
    keys = private_key.keys(private_key.homes(target.settings.environment))
    return output_base.find(base, keys)


def _server_programs(remote_exec: RemoteExec, target: Target, *, refused: bool) -> list[Finding]:
    """The checks that run programs on the server. `refused`: the server rejected our path."""
    alias = target.settings.host
    printed = remote_exec.run(VERSION_COMMAND, waiting_for="the version of its Nix")
    found = [
        *advisories.judge(printed.stdout),
        *trusted_users.judge(printed.stdout, refused=refused),
    ]
    found += store.roots(remote_exec, alias)
    output = remote_exec.run(DISK_COMMAND, waiting_for="a check of its disks")
    found += disks.judge(output.stdout, alias)
    if target.exported:
        output = remote_exec.run(EXPORTS_COMMAND, waiting_for="a check of its exports")
        found += exports.judge(output.stdout)
    return found


def _workspace(target: Target) -> list[Finding]:
    root = workspace_files.root(target.folder)
    if root is None:
        return []
    base = output_base.of(root)
    return workspace.judge(
        workspace.WorkspaceFacts(
            target.settings.host,
            target.settings.environment.get("BAZEL_NIX_REMOTE", ""),
            workspace_files.rc_files(root),
            workspace_files.build_files(root),
            output_base.not_copied(base) if base is not None else (),
            _manifests(target, base).unusable if base is not None else (),
        )
    )
