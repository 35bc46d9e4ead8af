"""Pods with what `nix-remote setup kubernetes` generates for them, and builds on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Mapping

from tests.lab import buildbarn, images
from tests.lab import lab as laboratory
from tests.lab.bazel import Workspace
from tests.lab.commands import Outcome
from tests.lab.host import Host
from tests.lab.lab import Lab

NOT_READY: Final = 'Worker failed readiness check: Path "/nix/store/.links"'
"""What a worker logs while its runner has no store."""

_EXPORTED: Final = "/mnt/nix-store"
_OVERLAY: Final = "/root/overlay"


@dataclass(frozen=True)
class Remote:
    """A lab with Buildbarn."""

    lab: Lab
    service: Host

    def start_node(self, name: str) -> Host:
        """Starts a host for a pod. Nothing is in its `/nix/store`."""
        # Every store that a daemon has opened has it.
        self.lab.server.sh("mkdir -p /nix/store/.links")
        binds = {**buildbarn.binds(), self.lab.server.store: _EXPORTED}
        return self.lab.start_host(name, images.CURRENT, binds)

    def mount_store(self, node: Host) -> None:
        """Mounts the Nix server's store on a node, read-only: a bind mount instead of NFS."""
        node.sh(f"mkdir -p /nix/store; mount --bind {_EXPORTED} /nix/store")

    def start_pod(self, host: Host, platform: Mapping[str, str]) -> buildbarn.Pod:
        """Starts a worker and its runner, which is configured by the overlay's own file."""
        setup = ["nix-remote", "setup", "kubernetes", "--base=../base", "--server=nix-server"]
        workstation = self.lab.workstation
        workstation.sh(f"rm -rf {_OVERLAY}")
        workstation.run([*setup, f"--out={_OVERLAY}"]).check()
        pod = buildbarn.Pod(host, self.service, platform)
        pod.start(workstation.read(f"{_OVERLAY}/runner-with-nix-store.jsonnet"))
        return pod

    def build(self, workspace: Workspace, *words: str, host: str = laboratory.ALIAS) -> Outcome:
        """Builds on Buildbarn, and takes nothing from its cache. `host` may be empty."""
        options = [
            "--config=remote",
            f"--remote_executor=grpc://{self.service.address}:{buildbarn.PORT}",
            "--noremote_accept_cached",
        ]
        env = {"BAZEL_NIX_REMOTE": host}
        return workspace.bazel("build", *options, *words, env=env, timeout=240)
