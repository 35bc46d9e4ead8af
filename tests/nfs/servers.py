"""The NFS servers of trials: the kernel's, set up by the generated script, and ganesha."""

from __future__ import annotations

from typing import Callable, Final, Mapping

from lab.host import Host
from lab.kernels import Kernel
from lab.lab import Lab
from tests.nfs import site


def _of_the_kernel(lab: Lab, kernel: Kernel) -> Host:
    server = lab.start_system_server(f"exports-{kernel.value}", kernel=kernel)
    site.set_up(lab, server)
    return server


SERVERS: Final[Mapping[str, Callable[[Lab], Host]]] = {
    "kernel 6.1": lambda lab: _of_the_kernel(lab, Kernel.V6_1),
    "kernel 7.2": lambda lab: _of_the_kernel(lab, Kernel.V7_2),
    "ganesha": lambda lab: site.ganesha_server(lab, "exports-ganesha"),
}
"""Name -> what starts it in a lab with a workstation; each once per lab."""
