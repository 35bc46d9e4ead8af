"""A kustomize overlay that gives Buildbarn's runners the Nix server's store.

It does not change the base (the folder `kubernetes/` of bb-deployments). Pure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from nix_remote.setup import inputs, nfs, quoting
from nix_remote.setup.bundle import Bundle, File


class Volume(enum.Enum):
    """The kind of volume that has the store."""

    CLAIM = "claim"
    """A persistent volume: the only kind of NFS volume that can have mount options."""
    HOST_PATH = "host-path"
    """The node's own `/nix/store`, which the node mounts: `setup executor`."""
    INLINE = "inline"
    """An NFS volume without options: the defaults of the node's NFS client apply."""


@dataclass(frozen=True)
class OverlayPlan:
    """The store, and the containers that get it."""

    base: str
    """The base: a folder relative to the overlay, or another resource of kustomize."""
    server: str = ""
    """The Nix server: a name or an address that nodes can reach. Not needed for `HOST_PATH`."""
    volume: Volume = Volume.CLAIM
    namespace: str = "buildbarn"
    deployment: str = "worker-ubuntu22-04"
    container: str = "runner"
    runner_config: str = "runner-ubuntu22-04.jsonnet"
    """The runner's configuration in `/config`, which is extended; empty: it is not changed."""


def bundle(plan: OverlayPlan) -> Bundle:
    """The overlay. Raises `SetupInputUnusable`."""
    name = inputs.kubernetes_label(plan.namespace, "--namespace")
    namespace = quoting.yaml(name)
    files = [File(_PATCH, _patch(plan))]
    resources = [inputs.resource(plan.base, "--base")]
    if plan.volume is Volume.CLAIM:
        text = _VOLUME.format(
            namespace=namespace,
            volume=quoting.yaml(f"{name}-nix-store"),
            server=_server(plan),
            store=nfs.STORE,
            reasons=nfs.MOUNT_REASONS.replace("\n", "\n    "),
            options="\n".join(f"    - {option}" for option in nfs.MOUNT_OPTIONS if option != "ro"),
        )
        files.append(File(_CLAIM, text))
        resources.append(_CLAIM)
    text = _KUSTOMIZATION.format(
        resources="\n".join(f"  - {quoting.yaml(each)}" for each in resources), patch=_PATCH
    )
    if plan.runner_config:
        files.append(
            File(
                _RUNNER,
                _RUNNER_CONFIG.format(
                    base=inputs.resource(plan.runner_config, "--runner-config"),
                    sentinel=nfs.SENTINEL,
                ),
            )
        )
        text += _GENERATOR.format(namespace=namespace, runner=_RUNNER)
    files.insert(0, File("kustomization.yaml", text))
    return Bundle(
        tuple(files), "put them into a folder (--out DIR), then: kubectl apply --kustomize DIR"
    )


def _server(plan: OverlayPlan) -> str:
    return quoting.yaml(inputs.host(plan.server, "--server").strip("[]"))


def _patch(plan: OverlayPlan) -> str:
    source = {
        Volume.CLAIM: _FROM_CLAIM,
        Volume.HOST_PATH: _FROM_HOST,
        Volume.INLINE: _FROM_SERVER,
    }[plan.volume]
    if plan.volume is not Volume.HOST_PATH:
        source = source.format(server=_server(plan), store=nfs.STORE)
    return _DEPLOYMENT.format(
        namespace=quoting.yaml(inputs.kubernetes_label(plan.namespace, "--namespace")),
        deployment=quoting.yaml(inputs.kubernetes_name(plan.deployment, "--deployment")),
        container=quoting.yaml(inputs.kubernetes_label(plan.container, "--container")),
        command=_COMMAND.format(runner=_RUNNER) if plan.runner_config else "",
        store=nfs.STORE,
        propagation=_PROPAGATION if plan.volume is Volume.HOST_PATH else "",
        extra_mount=_CONFIG_MOUNT if plan.runner_config else "",
        source=source,
        extra_volume=_CONFIG_VOLUME if plan.runner_config else "",
    )


_CLAIM: Final = "nix-store-volume.yaml"
_PATCH: Final = "nix-store-in-runner.yaml"
_RUNNER: Final = "runner-with-nix-store.jsonnet"

_KUSTOMIZATION: Final = """\
# Buildbarn's runners with the Nix server's store: nix-remote setup kubernetes …
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization

# The unchanged base, and the resources that the runners need.
resources:
{resources}

# Changes only the worker's deployment.
patches:
  - path: {patch}
"""

_GENERATOR: Final = """
# The runner's configuration, in a separate ConfigMap: that of the base is not changed.
configMapGenerator:
  - name: nix-remote-runner
    namespace: {namespace}
    files:
      - {runner}
"""

_VOLUME: Final = """\
# The store as a volume. It is bound to the claim below only.
apiVersion: v1
kind: PersistentVolume
metadata:
  name: {volume}
spec:
  # Kubernetes requires a size, but does not use it for a read-only volume.
  capacity:
    storage: 1Ti
  # Any number of nodes may mount it.
  accessModes:
    - ReadOnlyMany
  # No provisioner creates or deletes it.
  storageClassName: ""
  persistentVolumeReclaimPolicy: Retain
  claimRef:
    namespace: {namespace}
    name: nix-store
  # An inline NFS volume of a pod could not have options. The node mounts the volume, and the first
  # mount of a server on a node decides about the options of all: see docs/nfs.md.
    {reasons}
  mountOptions:
{options}
  nfs:
    server: {server}
    path: {store}
    readOnly: true
---
# The claim of the runners.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  namespace: {namespace}
  name: nix-store
spec:
  # Use that volume, not one from a provisioner.
  storageClassName: ""
  volumeName: {volume}
  accessModes:
    - ReadOnlyMany
  resources:
    requests:
      storage: 1Ti
"""

_DEPLOYMENT: Final = """\
# Mounts the store only in the container that runs actions; the worker's container does not need
# it.
apiVersion: apps/v1
kind: Deployment
metadata:
  namespace: {namespace}
  name: {deployment}
spec:
  template:
    spec:
      containers:
        - name: {container}
{command}          volumeMounts:
            # Read-only here, in the volume, and on the server.
            - name: nix-store
              mountPath: {store}
              readOnly: true
{propagation}{extra_mount}      volumes:
        - name: nix-store
{source}{extra_volume}"""

_COMMAND: Final = """\
          # The same program, with a configuration that extends the original one.
          command: [/bb/bb_runner, /nix-remote/{runner}]
"""

_PROPAGATION: Final = """\
              # The container also sees a mount that the node makes later.
              mountPropagation: HostToContainer
"""

_CONFIG_MOUNT: Final = """\
            # The configuration from the ConfigMap below.
            - name: nix-remote-runner
              mountPath: /nix-remote
              readOnly: true
"""

_CONFIG_VOLUME: Final = """\
        - name: nix-remote-runner
          configMap:
            name: nix-remote-runner
"""

_FROM_CLAIM: Final = """\
          persistentVolumeClaim:
            claimName: nix-store
            readOnly: true
"""

_FROM_HOST: Final = """\
          # The node mounts the store: nix-remote setup executor. The pod does not start on a node
          # without this folder.
          hostPath:
            path: /nix/store
            type: Directory
"""

_FROM_SERVER: Final = """\
          # Without options, the negative lookup cache hides a new path for half a minute if it was
          # opened before, unless nodes set acdirmax=1 (nfsmount.conf).
          nfs:
            server: {server}
            path: {store}
            readOnly: true
"""

_RUNNER_CONFIG: Final = """\
// Extends the base: while the store is not mounted, the runner requests no actions. Actions that
// were requested before still arrive, and fail.
(import '/config/{base}') + {{
  // Every Nix store has this folder.
  readinessCheckingPathnames: ['{sentinel}'],
}}
"""
