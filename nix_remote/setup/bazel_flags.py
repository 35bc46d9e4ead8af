"""What goes into a bazelrc: flags, each with its reason. The wrapper `tools/bazel` is elsewhere.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nix_remote.setup import inputs, quoting
from nix_remote.setup.bundle import Bundle, File

FILE_NAME: Final = "nix-remote.bazelrc"


@dataclass(frozen=True)
class FlagsPlan:
    """What Bazel is to be told."""

    host: str
    """The Nix server: what `BAZEL_NIX_REMOTE` is to say."""
    sign_key: str = ""
    """The secret key file to sign copies with, absolute; empty: nothing is signed."""
    remote_executor: str = ""
    """The address of the Remote Execution service; empty: the flags for it are left out."""
    platform_properties: tuple[str, ...] = ()
    """`NAME=VALUE`, which actions ask for and workers have."""
    fetches: int = 32
    """How many packages are fetched at a time."""
    jobs: int = 0
    """How many actions are sent at a time; 0: Bazel decides."""


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

# The Nix server, a Host entry of the SSH config. Here rather than in shells: wherever Bazel is
# started from, it is the same, and nothing is fetched again for its sake.
common {host}

# The keys of the SSH agent, for copies. With --experimental_strict_repo_env, fetches see PATH
# and the variables that are named like this, and no others.
common --repo_env=SSH_AUTH_SOCK

# So many packages are fetched at a time. Fetches wait for the network more than they compute.
common --loading_phase_threads={fetches}

# Actions get a fixed PATH instead of that of the shell: paths of this machine mean nothing on an
# executor, and would make every action another one for the cache.
build --incompatible_strict_action_env
"""

_SIGN_KEY: Final = """
# Copies are signed, so that the server need not trust the account: a file of this machine.
common {file}
"""

_REMOTE: Final = """
# bazel build --config=remote …: actions run where the Nix server's store is mounted.
build:remote {executor}

# An action that hangs, such as on a server that is away, ends after so many seconds.
build:remote --remote_timeout=600
"""

_PROPERTIES_HEAD: Final = """
# Which workers may take the actions; they have to offer exactly these.
"""

_JOBS: Final = """
# So many actions at a time: as many as the executors can run, not as this machine has cores.
build:remote --jobs={jobs}
"""
