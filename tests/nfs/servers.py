"""The NFS servers of trials: the kernel's, set up by the generated script, and ganesha."""

from __future__ import annotations

from typing import Callable, Final, Mapping

from lab import images, nfs, nix, sshd
from lab.host import Host
from lab.kernels import Kernel
from lab.lab import Lab


def _of_the_kernel(lab: Lab, kernel: Kernel) -> Host:
    server = lab.start_system_server(f"exports-{kernel.value}", kernel=kernel)
    set_up(lab, server)
    return server


def set_up(lab: Lab, server: Host) -> None:
    """Runs the script of `nix-remote setup server` for the workstation's key."""
    sshd.public_key(lab.workstation)
    setup = ["nix-remote", "setup", "server", "--public-key", "/root/.ssh/id_ed25519.pub"]
    script = lab.workstation.run([*setup, "--executors", "10.77.0.0/24"]).check().stdout
    server.run(["sh"], stdin=script, timeout=300).check()


def _ganesha(lab: Lab) -> Host:
    server = lab.start_server("exports-ganesha", nix.Version.CURRENT, image=images.NFS_SERVER)
    nfs.export(server)
    return server


SERVERS: Final[Mapping[str, Callable[[Lab], Host]]] = {
    "kernel 6.1": lambda lab: _of_the_kernel(lab, Kernel.V6_1),
    "kernel 7.2": lambda lab: _of_the_kernel(lab, Kernel.V7_2),
    "ganesha": _ganesha,
}
"""Name -> what starts it in a lab with a workstation; each once per lab."""
