"""A real Remote Execution service: BuildGrid with PostgreSQL, and buildbox workers on executors."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from lab.host import Host, wait_until

PORT = 50051

_CONFIGURATION = Path(__file__).with_name("buildgrid.yml")


def start_service(host: Host) -> None:
    """Starts the database and BuildGrid; returns when its port accepts connections."""
    host.sh("install -d -o postgres -g postgres /run/postgresql")
    programs = host.sh("echo /usr/lib/postgresql/*/bin").strip()
    host.start_service(
        "postgresql",
        [f"{programs}/postgres", "-D", "/var/lib/remote-execution/database"],
        user="postgres",
    )
    ready = [f"{programs}/pg_isready", "--host=/run/postgresql"]
    wait_until(lambda: host.run(ready).status == 0, "PostgreSQL")
    address = f"{host.address}:{PORT}"
    text = _CONFIGURATION.read_text().replace("@ADDRESS@", address)
    host.write("/etc/buildgrid.yml", text)
    host.start_service(
        "buildgrid", ["/opt/buildgrid/bin/bgd", "server", "start", "/etc/buildgrid.yml"]
    )
    probe = f"exec 3<>/dev/tcp/{host.address}/{PORT}"
    wait_until(
        lambda: host.run(["bash", "-c", probe]).status == 0, "BuildGrid", timeout=180, interval=0.2
    )


BUBBLEWRAP = "/usr/bin/buildbox-run-bubblewrap"
"""The runner of workers: a program that buildbox starts for each action."""


def start_worker(executor: Host, service: Host, runner: str = BUBBLEWRAP) -> None:
    """Lets an executor take actions; `runner` is a program that starts `BUBBLEWRAP`, or that.

    Actions run under bubblewrap with an empty root: they see their inputs,
    `/nix/store` (read-only), `/proc`, `/dev` and nothing else.
    """
    linux = ("--platform", "OSFamily=linux")
    _start_bubblewrap_worker(executor, service, "worker", ["/nix/store"], *linux, runner=runner)


def start_worker_of_pool(executor: Host, service: Host, pool: str, folders: Sequence[str]) -> None:
    """Lets an executor also take the actions of a pool, which see these folders of it.

    Like the worker below, this one does not announce Linux: it would get all actions that require
    Linux.
    """
    name = f"worker-{pool}"
    _start_bubblewrap_worker(executor, service, name, folders, "--platform", f"pool={pool}")


def stop_worker_of_pool(executor: Host, pool: str) -> None:
    executor.stop_service(f"worker-{pool}")


def _start_bubblewrap_worker(
    executor: Host,
    service: Host,
    name: str,
    folders: Sequence[str],
    *options: str,
    runner: str = BUBBLEWRAP,
) -> None:
    executor.sh(f"mkdir -p /var/cache/{name}")
    _start_worker(
        executor,
        service,
        name,
        f"--buildbox-run={runner}",
        f"--runner-arg=--workspace-path=/var/cache/{name}",
        *(f"--runner-arg=--ro-bind-mount={folder}:{folder}" for folder in folders),
        *options,
    )


def start_worker_with_debian(executor: Host, service: Host, pool: str) -> None:
    """Lets an executor also take the actions of a pool.

    They also see the executor's own programs: Bazel cannot run tests without a shell.
    """
    _start_worker(
        executor,
        service,
        f"worker-{pool}",
        "--buildbox-run=/usr/bin/buildbox-run-hosttools",
        *("--platform", f"pool={pool}"),
    )


def _start_worker(executor: Host, service: Host, name: str, *options: str) -> None:
    executor.start_service(
        name,
        [
            "buildbox-worker",
            f"--remote=http://{service.address}:{PORT}",
            "--request-timeout=30",
            "--retry-limit=1000",
            "--retry-delay=500",
            "--concurrent-jobs=2",
            "--runner-arg=--disable-localcas",
            *options,
            *("--platform", "ISA=x86-64"),
            f"{executor.name}-{name}",
        ],
    )
    wait_until(
        lambda: "Starting buildbox-worker with BotID" in executor.log(name),
        f"the {name} on {executor.name}",
    )
