"""The flags for a bazelrc, each with its reason. Pure.

Does not belong here: the script `tools/bazel` (`wrapper.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nix_remote.setup import inputs, quoting
from nix_remote.setup.bundle import Bundle, File

FILE_NAME: Final = "nix-remote.bazelrc"


@dataclass(frozen=True)
class FlagsPlan:
    """The configuration of Bazel."""

    host: str
    """The Nix server: the value of `BAZEL_NIX_REMOTE`."""
    sign_key: str = ""
    """The absolute path of the secret key that signs paths; empty: paths are not signed."""
    remote_executor: str = ""
    """The address of the Remote Execution service; empty: no flags for remote execution."""
    platform_properties: tuple[str, ...] = ()
    """`NAME=VALUE`, which actions require and workers have."""
    fetches: int = 32
    """The number of packages that are fetched in parallel."""
    jobs: int = 0
    """The number of actions that run in parallel; 0: Bazel decides."""


def bundle(plan: FlagsPlan) -> Bundle:
    """The flags. Raises `SetupInputUnusable`."""
    host = quoting.bazelrc(f"--repo_env=BAZEL_NIX_REMOTE={plan.host}")
    parts = [_ALWAYS.format(host=host, fetches=inputs.at_least(1, plan.fetches, "--fetches"))]
    if plan.sign_key:
        parts.append(
            _SIGN_KEY.format(
                file=quoting.bazelrc(
                    "--repo_env=NIX_REMOTE_SIGN_KEY_FILE="
                    + inputs.absolute_file(plan.sign_key, "--sign-key")
                )
            )
        )
    if plan.remote_executor:
        parts.append(
            _REMOTE.format(
                executor=quoting.bazelrc(
                    f"--remote_executor={inputs.remote_executor(plan.remote_executor)}"
                )
            )
        )
        if plan.platform_properties:
            parts.append(_PROPERTIES_HEAD)
            parts += [
                "build:remote "
                + quoting.bazelrc(
                    f"--remote_default_exec_properties={inputs.platform_property(each)}"
                )
                + "\n"
                for each in plan.platform_properties
            ]
        if plan.jobs:
            parts.append(_JOBS.format(jobs=inputs.at_least(1, plan.jobs, "--jobs")))
    return Bundle(
        (File(FILE_NAME, "".join(parts)),),
        f"put it into the workspace, and this into .bazelrc: import %workspace%/{FILE_NAME}",
    )


_ALWAYS: Final = """\
# nix-remote setup bazelrc …   In .bazelrc: import %workspace%/nix-remote.bazelrc

# The Nix server, a Host entry of the SSH config. It is set here and not in shells, so that it does
# not depend on where Bazel is started. A change would make Bazel fetch packages again.
common {host}

# Gives copies access to the SSH agent. With --experimental_strict_repo_env, fetches see only PATH
# and the variables that such flags name.
common --repo_env=SSH_AUTH_SOCK

# The number of parallel fetches. Fetches wait for the network more than they compute.
common --loading_phase_threads={fetches}

# Actions get a fixed PATH instead of that of the shell. The shell's PATH is useless on an executor,
# and would change the cache key of every action.
build --incompatible_strict_action_env
"""

_SIGN_KEY: Final = """
# The key that signs paths, so that the server need not trust the account. A file on this machine.
common {file}
"""

_REMOTE: Final = """
# bazel build --config=remote …: actions run where the Nix server's store is mounted.
build:remote {executor}

# Seconds until an action that hangs fails, for instance because the server is unavailable.
build:remote --remote_timeout=600
"""

_PROPERTIES_HEAD: Final = """
# The properties of the workers that may run the actions. A worker must have exactly these.
"""

_JOBS: Final = """
# The number of parallel actions: what the executors can run, independent of local cores.
build:remote --jobs={jobs}
"""
