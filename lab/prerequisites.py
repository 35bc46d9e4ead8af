"""Requirements of the outer machine; missing ones are installed as Debian packages."""

from __future__ import annotations

import os
import shutil

from lab.commands import LabError, run

# command -> the Debian package that has it
_COMMANDS = {
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "mke2fs": "e2fsprogs",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "tar": "tar",
    "patch": "patch",
}


def ensure() -> None:
    """Installs missing packages. Raises `LabError` if that is impossible."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes network and mount namespaces")
    missing = sorted({pkg for name, pkg in _COMMANDS.items() if shutil.which(name) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"please install: {' '.join(missing)} (there is no apt-get here)")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run(["apt-get", "update", "-q"], timeout=300, env=env)
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    run(install, timeout=600, env=env).check()
