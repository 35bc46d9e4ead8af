"""Not the server's doing: how nix-remote was called, its agent, and an end before the end."""

from __future__ import annotations

from typing import Sequence

from nix_remote.errors.base import NixRemoteError

# Usage


class UsageError(NixRemoteError):
    """The command line or the environment asks for something impossible."""

    exit_status = 2


class NoHost(UsageError):
    code = "no-host"

    def __init__(self) -> None:
        super().__init__(
            "no Nix server is named",
            fix="set BAZEL_NIX_REMOTE to a Host entry of your SSH config, or give --host",
        )


class InvalidHostAlias(UsageError):
    code = "invalid-host-alias"

    def __init__(self, alias: str) -> None:
        super().__init__(
            f"{alias!r} cannot be the name of a Nix server",
            why="a name is made of letters, digits and . _ - + % : @, and a dash never comes first",
            fix="set BAZEL_NIX_REMOTE to the name of one Host entry of your SSH config",
        )


class InvalidSetting(UsageError):
    code = "invalid-setting"

    def __init__(self, name: str, value: str, expected: str) -> None:
        super().__init__(f"{name}={value!r} makes no sense", fix=f"{name} takes {expected}")


class ResourcesExhausted(UsageError):
    code = "resources-exhausted"

    def __init__(self, lacking: str, ended: str) -> None:
        super().__init__(
            "this process may not open or start as much as it needs",
            why=f"the system said: {lacking}\nthe command ended with: {ended}",
            fix="see the limits of the shell that starts it: ulimit -a\n"
            "a copy needs some 30 open files (ulimit -n), 10 threads (ulimit -u), and 200 MB of"
            " address space per thread (ulimit -v)",
        )


class WorkingFolderGone(UsageError):
    code = "working-folder-gone"

    def __init__(self) -> None:
        super().__init__(
            "the folder in which nix-remote was started does not exist any more",
            fix="change to a folder that exists, and run it again",
        )


class SigningKeyUnusable(UsageError):
    code = "signing-key-unusable"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"no path can be signed with {path}",
            why=why,
            fix="give the secret key file, the first of those that this makes:\n"
            "nix-store --generate-binary-cache-key NAME-1 secret public",
        )


class NothingToSelectBy(UsageError):
    code = "nothing-to-select-by"

    def __init__(self) -> None:
        super().__init__(
            "it is not said which roots are to be removed",
            fix="give --older-than AGE or --workspace NAME, or both; for all that are not in use:\n"
            "--older-than 0s",
        )


class WorkspaceAmbiguous(UsageError):
    code = "workspace-ambiguous"

    def __init__(self, name: str, alias: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"it is not clear whose workspace {name} is meant",
            why=f"{alias} has roots of: {', '.join(candidates)}; none of them is known to be that "
            "of this user on this machine",
            fix="give the workspace's folder: --workspace /home/me/src/app\n"
            "or one of these names, with its digest\n"
            "or --all-owners, for all of that name, whose users they may be",
        )


class SetupInputUnusable(UsageError):
    code = "setup-input-unusable"

    def __init__(self, what: str, expected: str) -> None:
        super().__init__(f"{what} cannot be used for a set-up", fix=f"{what} takes {expected}")


class OutputBaseNotFound(UsageError):
    code = "output-base-not-found"

    def __init__(self, looked_for: str) -> None:
        super().__init__(
            "it is not known where Bazel keeps the workspace's repositories",
            why=f"{looked_for} is no output base, or no workspace that was built here",
            fix='say it: nix-remote ensure --output-base "$(bazel info output_base)"',
        )


class FileUnwritable(UsageError):
    code = "file-unwritable"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"{name} cannot be written",
            why=why,
            fix="name a file in a folder that this user may write to",
        )


class GrpcMissing(UsageError):
    code = "grpc-missing"

    def __init__(self, python: str) -> None:
        super().__init__(
            "talking to a Remote Execution service needs the Python package grpcio",
            fix=f"{python} -m pip install grpcio",
        )


# The agent


class AgentError(NixRemoteError):
    """The agent cannot be had. Copies do without it."""

    exit_status = 19


class AgentNotStarted(AgentError):
    code = "agent-not-started"

    def __init__(self, why: str) -> None:
        super().__init__(
            "there is no agent that could be used",
            why=why,
            fix="see what it says: nix-remote agent run\n"
            "copies work without one: each invocation does its work alone, or with the others",
        )


# Ending early


class Interrupted(NixRemoteError):
    code = "interrupted"
    exit_status = 130

    def __init__(self) -> None:
        super().__init__(
            "interrupted",
            fix="run it again: paths that arrived whole are not sent a second time",
        )
