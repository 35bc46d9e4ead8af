"""Pods with what `nix-remote setup kubernetes` generates for them, and builds on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Mapping, Sequence

from lab import buildbarn, images, nix, trexe
from lab.bazel import Workspace
from lab.buildbarn_programs import Release
from lab.commands import Outcome
from lab.host import Host
from lab.lab import ALIAS, Lab
from tests.bazel import examples

NOT_READY: Final = 'Worker failed readiness check: Path "/nix/store/.links"'
"""What a worker logs while its runner has no store."""

_EXPORTED: Final = "/mnt/nix-store"
_OVERLAY: Final = "/root/overlay"


@dataclass(frozen=True)
class Remote:
    """A lab with Buildbarn."""

    lab: Lab
    service: Host
    programs: Path
    release: Release

    @property
    def address(self) -> str:
        """Host and port of the frontend."""
        return f"{self.service.address}:{buildbarn.PORT}"

    def start_node(self, name: str) -> Host:
        """Starts a host for a pod. Nothing is in its `/nix/store`."""
        # Every store that a daemon has opened has it.
        self.lab.server.sh("mkdir -p /nix/store/.links")
        binds = {**buildbarn.binds(self.programs), self.lab.server.store: _EXPORTED}
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

    def build(self, workspace: Workspace, *words: str, host: str = ALIAS) -> Outcome:
        """Builds on Buildbarn, and takes nothing from its cache. `host` may be empty."""
        executor = f"--remote_executor=grpc://{self.address}"
        return examples.remotely(workspace, "build", executor, *words, host=host, timeout=240)

    def act(
        self,
        argv: Sequence[str],
        properties: Mapping[str, str],
        *,
        outputs: Sequence[str] = (),
        inputs: Mapping[str, str] = MappingProxyType({}),
    ) -> trexe.Ended:
        """Runs a command as an action of Buildbarn, which takes nothing from its cache."""
        return trexe.act(self.lab.workstation, self.address, argv, properties, outputs, inputs)

    def look(self, *words: str) -> list[dict[str, Any]]:
        """What `nix-remote verify` finds of Buildbarn and an executor of it."""
        url = f"--remote-executor=grpc://{self.address}"
        done = self.lab.workstation.run(["nix-remote", "verify", "--json", url, *words], timeout=90)
        found: list[dict[str, Any]] = json.loads(done.stdout)["data"]["findings"]
        assert done.status == (1 if any(each["status"] == "broken" for each in found) else 0)
        return found

    def versions(self) -> str:
        """Which versions of the API Buildbarn speaks, as `nix-remote` tells it."""
        bash = nix.build(self.lab.workstation, ["bash"])["bash"]
        (told,) = [each["text"] for each in self.look(bash) if each["subject"] == "service"]
        return str(told)
