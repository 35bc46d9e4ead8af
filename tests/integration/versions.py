"""The versions on the lab's hosts, for the compatibility records."""

from __future__ import annotations

import re
from typing import Final

from lab.host import Host
from lab.implementations.releases import speech
from nix_remote.protocol.implementations import Implementation, from_sentence
from tests.compatibility.recording import Recorder

_PACKAGES: Final = ("paramiko", "cryptography", "sshconf")

_PRINT_PACKAGES: Final = (
    "import importlib.metadata as m, platform, sys;"
    "print('Python', platform.python_version());"
    "[print(name, m.version(name)) for name in sys.argv[1:]]"
)


def nix_of(host: Host) -> Implementation:
    """The Nix that a host's accounts have."""
    printed = host.sh("nix-store --version")
    nix = from_sentence(printed)
    assert nix is not None, printed
    return nix


def makes_roots_on_request(server: Host) -> bool:
    """Whether an account that may run nothing but `nix-daemon --stdio` gets durable roots."""
    return speech(nix_of(server)).decodes


def record_nix(host: Host, compatibility: Recorder, what: str) -> None:
    """Notes that the test shows `what` of the Nix that a host's accounts have."""
    nix = nix_of(host)
    compatibility(nix.kind.value, ".".join(map(str, nix.version)), what)


def record_openssh(host: Host, compatibility: Recorder, what: str) -> None:
    """Notes that the test shows `what` of a host's OpenSSH."""
    found = re.search(r"OpenSSH_(\S+?),? ", host.run(["ssh", "-V"]).text)
    assert found is not None
    compatibility("OpenSSH", found[1], what)


def record_python(workstation: Host, compatibility: Recorder, what: str) -> None:
    """Notes that the test shows `what` of the Python that copies there, and of its packages."""
    command = ["/opt/nix-remote/bin/python", "-c", _PRINT_PACKAGES, *_PACKAGES]
    for line in workstation.run(command).check().stdout.splitlines():
        subject, version = line.split()
        compatibility(subject, version, what)
