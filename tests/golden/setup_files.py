"""The recorded output of `nix-remote setup`: a diff of these files shows the effect of a change.

python -m tests.golden.setup_files      records again
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final, Mapping

from nix_remote.setup import (
    agent_units,
    bazel_flags,
    executor,
    kubernetes,
    nixos,
    server,
    wrapper,
)
from nix_remote.setup.bundle import Bundle
from nix_remote.setup.retention import Policy

FOLDER: Final = Path(__file__).with_name("setup")

KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7fI1Nwb0t0wPcvrQzTL0xQp3e9cXfCQVwXr5Ho4J0v me"
NIX_KEY: Final = "ci-1:" + "A" * 43 + "="
SERVER: Final = "nix.example.org"
_WHOLE: Final = server.ServerPlan(
    KEY, trusted_key=NIX_KEY, executors=("10.1.0.0/16", "fd00::/8"), fsid="1"
)
_TRUSTED: Final = server.ServerPlan(
    KEY, "copies", executors=("10.1.0.0/16",), policy=Policy(7 * 86400, 3600, 2**30)
)
_BASE: Final = "../bb-deployments/kubernetes"

BUNDLES: Final[Mapping[str, Bundle]] = {
    "server-account-only": server.bundle(server.ServerPlan(KEY)),
    "server-debian": server.bundle(_WHOLE),
    "server-debian-trusted-account": server.bundle(_TRUSTED),
    "server-nixos": nixos.bundle(_WHOLE),
    "server-nixos-trusted-account": nixos.bundle(_TRUSTED),
    **{
        f"executor-{way.value}": executor.bundle(executor.ExecutorPlan(SERVER, way))
        for way in executor.Way
    },
    **{
        f"executor-{way.value}-exact": executor.bundle(
            executor.ExecutorPlan(SERVER, way, "/usr/bin/buildbox-run-bubblewrap")
        )
        for way in (executor.Way.SYSTEMD, executor.Way.CLOUD_INIT)
    },
    **{
        f"executor-{way.value}-cache": executor.bundle(
            executor.ExecutorPlan(SERVER, way, cache_size=20 * 2**30)
        )
        for way in executor.Way
    },
    "executor-ipv6": executor.bundle(executor.ExecutorPlan("fd00::20", executor.Way.FSTAB)),
    **{
        f"kubernetes-{volume.value}": kubernetes.bundle(
            kubernetes.OverlayPlan(_BASE, SERVER, volume)
        )
        for volume in kubernetes.Volume
    },
    "kubernetes-other-names": kubernetes.bundle(
        kubernetes.OverlayPlan(
            _BASE, SERVER, namespace="build", deployment="worker", runner_config=""
        )
    ),
    "bazelrc": bazel_flags.bundle(
        bazel_flags.FlagsPlan(
            "nix-server",
            "/home/me/.config/nix-remote/secret-key",
            "grpc://build.example.org:8980",
            ("OSFamily=linux",),
            jobs=64,
        )
    ),
    "bazelrc-copies-only": bazel_flags.bundle(bazel_flags.FlagsPlan("nix-server")),
    "bazelrc-ensure": wrapper.with_script(
        bazel_flags.bundle(bazel_flags.FlagsPlan("nix-server")), "ensure", "nix-server"
    ),
    "agent": agent_units.bundle(
        agent_units.AgentPlan(
            "/home/me/.local/bin/nix-remote", "/home/me/.nix-profile/bin:/usr/bin"
        )
    ),
}


def record() -> None:
    """Writes all bundles, in place of what is there."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, bundle in BUNDLES.items():
        for file in bundle.written():
            target = FOLDER / name / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.text)


if __name__ == "__main__":
    record()
