"""Errors that have their cause on this machine: usage, the agent, and interruption."""

from __future__ import annotations

from typing import Sequence

from nix_remote.errors.base import NixRemoteError

# Usage


class UsageError(NixRemoteError):
    """The command line or the environment is invalid."""

    exit_status = 2


class NoHost(UsageError):
    code = "no-host"

    def __init__(self) -> None:
        super().__init__(
            "no Nix server given",
            fix="set BAZEL_NIX_REMOTE to a Host entry of your SSH config, or use --host",
        )


class InvalidHostAlias(UsageError):
    code = "invalid-host-alias"

    def __init__(self, alias: str) -> None:
        super().__init__(
            f"invalid name of a Nix server: {alias!r}",
            why="a name consists of letters, digits and . _ - + % : @, and begins with a letter, a"
            " digit or _",
            fix="set BAZEL_NIX_REMOTE to the name of one Host entry of your SSH config",
        )


class InvalidSetting(UsageError):
    code = "invalid-setting"

    def __init__(self, name: str, value: str, expected: str) -> None:
        super().__init__(f"invalid value: {name}={value!r}", fix=f"{name} takes {expected}")


class ResourcesExhausted(UsageError):
    code = "resources-exhausted"

    def __init__(self, lacking: str, ended: str) -> None:
        super().__init__(
            "this process lacks file descriptors, threads or memory",
            why=f"the system reports: {lacking}\nthe command failed with: {ended}",
            fix="raise the limits of the shell that starts it: ulimit -a\n"
            "a copy needs about 30 open files (ulimit -n), 10 threads (ulimit -u), and 200 MB of"
            " address space per thread (ulimit -v)",
        )


class WorkingFolderGone(UsageError):
    code = "working-folder-gone"

    def __init__(self) -> None:
        super().__init__(
            "the working directory of nix-remote no longer exists",
            fix="change to an existing directory, and run it again",
        )


class SigningKeyUnusable(UsageError):
    code = "signing-key-unusable"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"cannot sign paths with {path}",
            why=why,
            fix="use the secret key file, the first of the two that this command makes:\n"
            "nix-store --generate-binary-cache-key NAME-1 secret public",
        )


class NothingToSelectBy(UsageError):
    code = "nothing-to-select-by"

    def __init__(self) -> None:
        super().__init__(
            "no roots selected",
            fix="use --older-than AGE, --workspace NAME, or both; for all roots that are not in"
            " use:\n--older-than 0s",
        )


class WorkspaceAmbiguous(UsageError):
    code = "workspace-ambiguous"

    def __init__(self, name: str, alias: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"ambiguous workspace name: {name}",
            why=f"{alias} has roots of: {', '.join(candidates)}; none of them is known to belong "
            "to this user on this machine",
            fix="use the workspace's folder: --workspace /home/me/src/app\n"
            "or one of these names, with its digest\n"
            "or --all-owners, for the workspaces of that name of all users",
        )


class SetupInputUnusable(UsageError):
    code = "setup-input-unusable"

    def __init__(self, what: str, expected: str) -> None:
        super().__init__(f"invalid input for setup: {what}", fix=f"{what} takes {expected}")


class OutputBaseNotFound(UsageError):
    code = "output-base-not-found"

    def __init__(self, looked_for: str) -> None:
        super().__init__(
            "cannot find Bazel's output base of the workspace",
            why=f"{looked_for} is not an output base, and not a workspace that was built here",
            fix='nix-remote ensure --output-base "$(bazel info output_base)"',
        )


class FileUnwritable(UsageError):
    code = "file-unwritable"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"{name} cannot be written",
            why=why,
            fix="use a file in a folder that this user may write to",
        )


class GrpcMissing(UsageError):
    code = "grpc-missing"

    def __init__(self, python: str) -> None:
        super().__init__(
            "--remote-executor needs the Python package grpcio",
            fix=f"{python} -m pip install grpcio",
        )


# The agent


class AgentError(NixRemoteError):
    """The agent cannot be used. Copies work without it."""

    exit_status = 19


class AgentNotStarted(AgentError):
    code = "agent-not-started"

    def __init__(self, why: str) -> None:
        super().__init__(
            "the agent cannot be used",
            why=why,
            fix="run it in the foreground to see its error: nix-remote agent run\n"
            "copies work without an agent",
        )


# Ending early


class Interrupted(NixRemoteError):
    code = "interrupted"
    exit_status = 130

    def __init__(self) -> None:
        super().__init__(
            "interrupted",
            fix="run it again: paths that were registered are not sent again",
        )
