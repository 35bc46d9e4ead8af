"""Buildbarn, a second Remote Execution service: storage, frontend, scheduler, and pods.

The configuration is that of bb-deployments for Kubernetes; docs/buildbarn.md lists differences.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Mapping, Sequence

from lab.host import Host, wait_until

PORT: Final = 8980
"""Where the frontend answers Bazel."""

STORE: Final = "/nix/store"

_PROGRAMS: Final = "/bb"
_RUNNER: Final = "/config/runner-ubuntu22-04.jsonnet"
_STORAGE_PORT: Final = 8981
_CLIENT_PORT: Final = 8982
_WORKER_PORT: Final = 8983
_METRICS_PORT: Final = 9980
_NOBODY: Final = "65534"

_Configuration = Mapping[str, Any]

_ALLOWED: Final[_Configuration] = {"allow": {}}
_MESSAGE_SIZE: Final[_Configuration] = {"maximumMessageSizeBytes": 2 * 1024 * 1024}


def binds(programs: Path) -> dict[Path, str]:
    """The folders of the outer machine that a host needs to run Buildbarn."""
    return {programs: _PROGRAMS}


def start_service(host: Host) -> None:
    """Starts storage, scheduler and frontend; returns when all accept connections."""
    blobs = _blobs(host)
    storage = {
        "grpcServers": _servers(_STORAGE_PORT),
        **_MESSAGE_SIZE,
        "contentAddressableStorage": {
            "backend": _local(host, "/storage-cas", megabytes=2048, new_blocks=3),
            **_authorizers("get", "put", "findMissing"),
        },
        "actionCache": {
            "backend": _local(host, "/storage-ac", megabytes=16, new_blocks=1),
            **_authorizers("get", "put"),
        },
    }
    scheduler = {
        "clientGrpcServers": _servers(_CLIENT_PORT),
        "workerGrpcServers": _servers(_WORKER_PORT),
        "contentAddressableStorage": blobs["contentAddressableStorage"],
        **_MESSAGE_SIZE,
        **_authorizers("execute", "modifyDrains", "killOperations", "synchronize"),
        "actionRouter": {
            "simple": {
                "platformKeyExtractor": {"action": {}},
                "invocationKeyExtractors": [{"toolInvocationId": {}}],
                "initialSizeClassAnalyzer": {
                    "defaultExecutionTimeout": "1800s",
                    "maximumExecutionTimeout": "7200s",
                },
            }
        },
        "platformQueueWithNoWorkersTimeout": "900s",
        "global": {
            "diagnosticsHttpServer": {
                "httpServers": _servers(_METRICS_PORT),
                "enablePrometheus": True,
            }
        },
    }
    frontend = {
        "grpcServers": _servers(PORT),
        "schedulers": {"": {"endpoint": {"address": f"{host.address}:{_CLIENT_PORT}"}}},
        **_MESSAGE_SIZE,
        "contentAddressableStorage": {
            "backend": blobs["contentAddressableStorage"],
            **_authorizers("get", "put", "findMissing"),
        },
        "actionCache": {"backend": blobs["actionCache"], **_authorizers("get", "put")},
        **_authorizers("execute"),
    }
    _start(host, "storage", "bb_storage", storage)
    _start(host, "scheduler", "bb_scheduler", scheduler)
    _start(host, "frontend", "bb_storage", frontend)
    for port in (_STORAGE_PORT, _CLIENT_PORT, _WORKER_PORT, _METRICS_PORT, PORT):
        _wait_for_port(host, port)


@dataclass(frozen=True)
class Pod:
    """A worker, and a runner in a root of its own, as in a pod of Kubernetes.

    The worker sees the host without its store. The runner and its actions see `/bb`, `/config`,
    `/nix-remote`, `/worker`, `/nix/store`, `/dev`, `/proc` and an empty `/tmp`, and run as the user
    nobody. Mounts on the host's `/nix/store`, present or later, appear there.
    """

    host: Host
    service: Host
    platform: Mapping[str, str]
    """The properties that an action must have, exactly."""

    def start(self, runner_configuration: str) -> None:
        """Starts both. Does not wait until the runner is ready.

        `runner_configuration` is Jsonnet. It finds the rest in the file that bb-deployments has
        for it, `/config/runner-ubuntu22-04.jsonnet`.
        """
        host = self.host
        host.sh(
            f"""
            mount --make-rshared /
            mkdir -p {STORE} /worker /nix-remote
            mount -t tmpfs -o mode=777 tmpfs /worker
            mkdir -m 777 /worker/build
            mkdir -m 700 /worker/cache
            """
        )
        runner = {
            "buildDirectoryPath": "/worker/build",
            "grpcServers": [{"listenPaths": ["/worker/runner"], "authenticationPolicy": _ALLOWED}],
        }
        host.write(_RUNNER, json.dumps(runner))
        host.write("/nix-remote/runner.jsonnet", runner_configuration)
        read_only = (_PROGRAMS, "/config", "/nix-remote", STORE)
        host.start_service(
            "runner",
            [
                *("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"),
                *("bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-net"),
                *(word for path in read_only for word in ("--ro-bind", path, path)),
                *("--bind", "/worker", "/worker", "--proc", "/proc", "--dev", "/dev"),
                *("--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/"),
                *(f"{_PROGRAMS}/bb_runner", "/nix-remote/runner.jsonnet"),
            ],
        )
        wait_until(
            lambda: host.run(["test", "-S", "/worker/runner"]).status == 0,
            f"the runner of {host.name}",
        )
        without_store = ("bwrap", "--dev-bind", "/", "/", "--tmpfs", "/nix")
        _start(host, "worker", "bb_worker", self._worker(), without_store)

    def _worker(self) -> _Configuration:
        properties = [
            {"name": name, "value": self.platform[name]} for name in sorted(self.platform)
        ]
        return {
            "blobstore": _blobs(self.service),
            **_MESSAGE_SIZE,
            "scheduler": {"address": f"{self.service.address}:{_WORKER_PORT}"},
            # The runner's user may write to folders that the worker creates.
            "global": {"setUmask": {"umask": 0}},
            "buildDirectories": [
                {
                    "native": {
                        "buildDirectoryPath": "/worker/build",
                        "cacheDirectoryPath": "/worker/cache",
                        "maximumCacheFileCount": 10_000,
                        "maximumCacheSizeBytes": 256 * 1024 * 1024,
                        "cacheReplacementPolicy": "LEAST_RECENTLY_USED",
                    },
                    "runners": [
                        {
                            "endpoint": {"address": "unix:///worker/runner"},
                            "concurrency": 2,
                            "platform": {"properties": properties},
                            "workerId": {"pod": self.host.name},
                        }
                    ],
                }
            ],
            "inputDownloadConcurrency": 10,
            "outputUploadConcurrency": 11,
            "directoryCache": {
                "maximumCount": 1000,
                "maximumSizeBytes": 1000 * 1024,
                "cacheReplacementPolicy": "LEAST_RECENTLY_USED",
            },
        }

    def takes_actions(self) -> bool:
        """Whether workers with this pod's platform have registered at the scheduler."""
        url = f"http://127.0.0.1:{_METRICS_PORT}/metrics"
        script = (
            f"import urllib.request as r; print(r.urlopen({url!r}, timeout=10).read().decode())"
        )
        metrics = self.service.run(["python3", "-c", script]).check().stdout
        created = "buildbarn_builder_in_memory_build_queue_workers_created_total{"
        return any(
            line.startswith(created) and all(f'\\"{value}\\"' in line for value in self._words())
            for line in metrics.splitlines()
        )

    def _words(self) -> list[str]:
        return [*self.platform, *self.platform.values()]


def _start(
    host: Host,
    name: str,
    program: str,
    configuration: _Configuration,
    wrapper: Sequence[str] = (),
) -> None:
    path = f"/config/{name}.jsonnet"
    host.write(path, json.dumps(configuration, indent=2))
    host.start_service(name, [*wrapper, f"{_PROGRAMS}/{program}", path])


def _wait_for_port(host: Host, port: int) -> None:
    probe = ["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"]
    wait_until(lambda: host.run(probe).status == 0, f"port {port} of {host.name}")


def _servers(port: int) -> list[_Configuration]:
    return [{"listenAddresses": [f":{port}"], "authenticationPolicy": _ALLOWED}]


def _authorizers(*names: str) -> _Configuration:
    return {f"{name}Authorizer": _ALLOWED for name in names}


def _blobs(service: Host) -> _Configuration:
    """Where everything else finds what is stored."""
    storage = {"grpc": {"client": {"address": f"{service.address}:{_STORAGE_PORT}"}}}
    complete = {"backend": storage, "maximumTotalTreeSizeBytes": 64 * 1024 * 1024}
    return {
        "contentAddressableStorage": storage,
        "actionCache": {"completenessChecking": complete},
    }


def _local(host: Host, folder: str, *, megabytes: int, new_blocks: int) -> _Configuration:
    """A store of blobs in two files, which grow as they are filled."""
    host.sh(f"mkdir -p {folder}")
    keys = {"file": {"path": f"{folder}/key_location_map", "sizeBytes": 4 * 1024 * 1024}}
    blocks = {"file": {"path": f"{folder}/blocks", "sizeBytes": megabytes * 1024 * 1024}}
    return {
        "local": {
            "keyLocationMapOnBlockDevice": keys,
            "keyLocationMapMaximumGetAttempts": 16,
            "keyLocationMapMaximumPutAttempts": 64,
            "oldBlocks": 8,
            "currentBlocks": 24,
            "newBlocks": new_blocks,
            "blocksOnBlockDevice": {"source": blocks, "spareBlocks": 3},
        }
    }
