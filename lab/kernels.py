"""The Linux kernels of hosts that have one of their own: User Mode Linux, an ordinary program.

Each is a package of Debian, held to one series of releases. If the suite has none of that series
any more, its newest takes the place: `release` says what it is, as does `uname -r` on a host.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Mapping

from lab import cache, images

_PROGRAM = "/opt/kernel/linux.uml"


class Kernel(Enum):
    """The kernels that a host can have, by their series."""

    V6_1 = "6.1"
    """Debian 12's."""
    V7_2 = "7.2"
    """Debian testing's."""


_SUITES = {Kernel.V6_1: "bookworm", Kernel.V7_2: "testing"}

_WHOLE_REGISTERS = Path(__file__).with_name("whole_registers.c")
_PRELOADED = {Kernel.V6_1: "/opt/kernel/whole_registers.so"}
_ADD_PRELOADED = f"""
gcc -shared -fPIC -O2 -Wall -Werror -o {_PRELOADED[Kernel.V6_1]} {_WHOLE_REGISTERS.name}
"""

_GET = r"""
sources=/etc/apt/sources.list.d/kernel.list
sed -E "s/ (testing|unstable) / $suite /" /etc/apt/sources.list > $sources
apt-get -q -o Acquire::Check-Valid-Until=false update >/dev/null
get() { apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null; }
get "user-mode-linux=$series*" || get "user-mode-linux/$suite"
dpkg-deb -x user-mode-linux_*.deb unpacked
mkdir -p /opt/kernel
mv unpacked/usr/bin/linux.uml unpacked/usr/lib/uml/modules /opt/kernel/
rm -rf $sources /var/lib/apt/lists/* /var/cache/apt/*
"""


def image(kernel: Kernel) -> images.Layer:
    """The image with the kernel's program and modules; no host uses it as its root tree."""
    script = f"series={kernel.value} suite={_SUITES[kernel]}\n{_GET}"
    name = f"kernel-{kernel.value}"
    if kernel not in _PRELOADED:
        return images.Layer(name, images.CURRENT, script)
    return images.Layer(name, images.CURRENT, script + _ADD_PRELOADED, (_WHOLE_REGISTERS,))


def binds(kernel: Kernel) -> Mapping[Path, str]:
    """What a host has to see of a kernel that has been built: folder -> place on the host."""
    folder = _folder(kernel)
    return {folder: str(Path(_PROGRAM).parent), folder / "modules": "/usr/lib/modules"}


def command(kernel: Kernel) -> list[str]:
    """What starts a kernel on a host that has its `binds`; the kernel's arguments follow."""
    preloaded = [f"LD_PRELOAD={_PRELOADED[kernel]}"] if kernel in _PRELOADED else []
    return ["env", "TMPDIR=/dev/shm", "HOME=/run", *preloaded, _PROGRAM]


def release(kernel: Kernel) -> str:
    """What `uname -r` prints below a kernel that has been built, such as "6.1.176"."""
    (modules,) = (_folder(kernel) / "modules").iterdir()
    return modules.name


def is_of_its_series(kernel: Kernel) -> bool:
    """Whether a kernel that has been built is of the series that it is named after."""
    return f"{release(kernel)}.".startswith(f"{kernel.value}.")


def _folder(kernel: Kernel) -> Path:
    return cache.root() / images.folder_name(image(kernel)) / "opt" / "kernel"
