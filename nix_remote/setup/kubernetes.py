"""A kustomize overlay that gives Buildbarn's runners the Nix server's store.

It leaves the base (the folder `kubernetes/` of bb-deployments) as it is. Pure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from nix_remote.setup import inputs, nfs, quoting
from nix_remote.setup.bundle import Bundle, File


class Volume(enum.Enum):
    """Where a pod gets the store from."""

    CLAIM = "claim"
    """A persistent volume: the only kind of NFS volume that can have mount options."""
    HOST_PATH = "host-path"
    """The node's own `/nix/store`, which the node mounts: `setup executor`."""
    INLINE = "inline"
    """An NFS volume without options: those of the node's NFS client hold."""


@dataclass(frozen=True)
class OverlayPlan:
    """Which store, for which containers."""

    base: str
    """The folder to build on, relative to the overlay, or what else kustomize takes."""
    server: str = ""
    """The Nix server: a name or an address that nodes reach. Not needed for `HOST_PATH`."""
    volume: Volume = Volume.CLAIM
    namespace: str = "buildbarn"
    deployment: str = "worker-ubuntu22-04"
    container: str = "runner"
    runner_config: str = "runner-ubuntu22-04.jsonnet"
    """The runner's own configuration in `/config`, which is extended; empty: it is left alone."""


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

# What is built on, as it is; and what the runners need beside it.
resources:
{resources}

# Changes the worker's deployment, and nothing else.
patches:
  - path: {patch}
"""

_GENERATOR: Final = """
# The runner's configuration, in a ConfigMap of its own: that of the base stays as it is.
configMapGenerator:
  - name: nix-remote-runner
    namespace: {namespace}
    files:
      - {runner}
"""

_VOLUME: Final = """\
# The store as a volume. It is bound to the claim below and to no other.
apiVersion: v1
kind: PersistentVolume
metadata:
  name: {volume}
spec:
  # Kubernetes wants a size. Nothing looks at it: nothing is ever written.
  capacity:
    storage: 1Ti
  # Any number of nodes at a time.
  accessModes:
    - ReadOnlyMany
  # No provisioner makes it, and none deletes it.
  storageClassName: ""
  persistentVolumeReclaimPolicy: Retain
  claimRef:
    namespace: {namespace}
    name: nix-store
  # An NFS volume inside a pod's own description could not have options. The node mounts it, and
  # the first mount of a server on a node decides for all: see docs/nfs.md.
    {reasons}
  mountOptions:
{options}
  nfs:
    server: {server}
    path: {store}
    readOnly: true
---
# What the runners ask for.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  namespace: {namespace}
  name: nix-store
spec:
  # That volume, not one that a provisioner makes.
  storageClassName: ""
  volumeName: {volume}
  accessModes:
    - ReadOnlyMany
  resources:
    requests:
      storage: 1Ti
"""

_DEPLOYMENT: Final = """\
# The store for the container that runs actions, and for no other: the worker beside it does
# not need it.
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
          # The same program, with a configuration that extends the one it had.
          command: [/bb/bb_runner, /nix-remote/{runner}]
"""

_PROPAGATION: Final = """\
              # A mount that the node makes later is seen, too.
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
          # The node mounts the store itself: nix-remote setup executor. A node that has no such
          # folder does not get the pod to run.
          hostPath:
            path: /nix/store
            type: Directory
"""

_FROM_SERVER: Final = """\
          # Without options: a path that was looked for in vain stays invisible for half a minute,
          # unless nodes set lookupcache=positive for it (nfsmount.conf).
          nfs:
            server: {server}
            path: {store}
            readOnly: true
"""

_RUNNER_CONFIG: Final = """\
// What the base says, and one thing more: while the store is not there, no action is asked for.
// What was asked for before it went away still comes, and fails.
(import '/config/{base}') + {{
  // Every Nix store has this folder.
  readinessCheckingPathnames: ['{sentinel}'],
}}
"""
