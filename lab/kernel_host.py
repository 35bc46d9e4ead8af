"""A host with its own Linux kernel, for operations that need one, such as mounting NFS.

The kernel is User Mode Linux, an ordinary program (`kernels.py`). It runs in a *room*, a host like
the others, whose files it sees and whose network device it takes over. Commands reach it over SSH
from another host. It boots in a few seconds, has one processor, and is about three times slower
than the others.
"""

from __future__ import annotations

import shlex
import string
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Mapping, Optional, Sequence

from lab import kernels, sshd
from lab.commands import Argument, LabError
from lab.disk import Disk, FileSystem
from lab.host import Host, HostPlan, wait_until
from lab.kernels import Kernel
from lab.network import Switch

_INIT = Path(__file__).with_name("kernel_init.sh")
_TUN = Path("/dev/net/tun")
_DISKS = "/disks"
HOST_KEY = "/etc/ssh/lab_host_key"
"""The SSH host key, in the room; the public half has `.pub` behind it."""
_MAKE_FILE_SYSTEM = {
    FileSystem.EXT4: ("mkfs.ext4", "-q", "-E", "lazy_itable_init=1"),
    FileSystem.BTRFS: ("mkfs.btrfs", "-q"),
}


@dataclass(frozen=True)
class Hardware:
    """What a host with a kernel of its own has beside its plan."""

    kernel: Kernel = Kernel.V6_1
    disks: Mapping[str, Disk] = field(default_factory=dict)
    """Name -> disk; `KernelHost.device` has the device of each. None is mounted."""
    memory: int = 768
    """In MiB. The outer machine gives it as it is used; disks are cached in it."""


class KernelHost(Host):
    """As `Host`; commands run below its own kernel. `client` is a host that can log in to it."""

    boot_seconds = 60.0
    """How long a boot may take."""

    own_disks = 0
    """How many disks it has before those of its hardware."""

    def __init__(
        self, plan: HostPlan, folder: Path, switch: Switch, client: Host, hardware: Hardware
    ) -> None:
        super().__init__(plan, folder, switch)
        self.hardware = hardware
        self._room = Host(self._room_plan(), folder, switch)
        self._client = client

    @property
    def _known_hosts(self) -> str:
        """On the client."""
        return f"/run/{self.name}.known_hosts"

    def device(self, name: str) -> str:
        """The device of one of its hardware's disks, such as "/dev/ubdb"."""
        return f"/dev/ubd{self._letters[name]}"

    @property
    def _letters(self) -> Mapping[str, str]:
        return dict(zip(self.hardware.disks, string.ascii_lowercase[self.own_disks :]))

    def start(self, addresses: Mapping[str, str], shared_store: Optional[Path] = None) -> None:
        """Boots it. Its `/nix/store` is an empty folder, to mount something on.

        Its kernel has to be built; its disks are made.
        """
        if shared_store is not None:
            raise LabError("a kernel host mounts its store itself")
        if not _TUN.exists():
            raise LabError(f"there is no {_TUN} here: a kernel host needs it for its network")
        room = self._room
        room.start(addresses)
        self._furnish(room)
        host_key = room.read(f"{HOST_KEY}.pub")
        self._client.write(self._known_hosts, f"{self.address} {host_key}")
        # The room's network device goes to the kernel; the room itself leaves the network.
        room.sh(
            f"""
            ip address del {self.address}/24 dev eth0
            ip link add br0 type bridge forward_delay 0
            ip tuntap add tap0 mode tap
            for port in eth0 tap0; do ip link set $port master br0 up; done
            ip link set br0 up
            """
        )
        self._make_disks()
        self.boot()
        self._make_file_systems()

    def boot(self) -> None:
        """Starts the kernel, which must not be running; returns when commands can run."""
        number = f"{self.plan.number:02x}"
        self._room.start_service(
            "kernel",
            [
                *kernels.command(self.hardware.kernel),
                *("quiet", "umid=kernel", "uml_dir=/run/"),
                *("con=null", "con0=null,fd:1", "ssl=null"),
                f"vec0:transport=tap,ifname=tap0,depth=128,gro=1,mac=02:00:00:00:00:{number}",
                f"mem={self.hardware.memory}M",
                *(f"ubd{letter}={_DISKS}/{name}" for name, letter in self._letters.items()),
                *self._root_arguments(),
            ],
        )
        what = f"the kernel of {self.name}"
        wait_until(self._answers, what, interval=0.2, timeout=self.boot_seconds)

    def power_off(self) -> None:
        """Ends the kernel as a power failure would; `boot` starts it again, with the same disks."""
        self._leave()
        room = self._room
        pid = room.read("/run/kernel.pid").strip()
        # Its helpers are in its process group.
        room.run(["kill", "-KILL", "--", f"-{pid}"])
        wait_until(lambda: not room.has_process(pid), f"the kernel of {self.name} to end")
        room.sh("rm -rf /run/kernel")

    def console(self) -> str:
        """The output of its kernel, for a test that fails."""
        return self._room.log("kernel")

    def _room_plan(self) -> HostPlan:
        binds = {**self.plan.binds, **kernels.binds(self.hardware.kernel), _TUN: str(_TUN)}
        return replace(self.plan, binds=binds)

    def _furnish(self, room: Host) -> None:
        """Puts the files of the kernel's first process into the room."""
        room.write("/kernel_init.sh", _INIT.read_text(), mode="755")
        room.sh(f"[ -e {HOST_KEY} ] || ssh-keygen -q -t ed25519 -N '' -f {HOST_KEY}")
        sshd.authorize(room, "root", sshd.public_key(self._client))

    def _make_disks(self) -> None:
        room = self._room
        room.sh(f"mkdir -p {_DISKS}")
        for name, disk in self.hardware.disks.items():
            room.sh(f"truncate -s {disk.mebibytes}M {_DISKS}/{name}")

    def _make_file_systems(self) -> None:
        """Makes them with the programs of the host, whose kernel has to understand them."""
        for name, disk in self.hardware.disks.items():
            if disk.file_system is not None:
                make = [*_MAKE_FILE_SYSTEM[disk.file_system], self.device(name)]
                self.run(make, timeout=120).check()

    def _root_arguments(self) -> list[str]:
        """The kernel's arguments for its root file system and its first process."""
        return [
            *("rootfstype=hostfs", "rootflags=/", "rw"),
            *("init=/kernel_init.sh", "--", self.name, f"{self.address}/24"),
        ]

    def enter(self, argv: Sequence[Argument], env: Mapping[str, str]) -> list[str]:
        """The outer command that runs `argv` below the kernel, with this environment."""
        settings = {"HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", **env}
        words = ["env", *(f"{name}={value}" for name, value in settings.items())]
        command = shlex.join([*words, *(str(word) for word in argv)])
        options = [
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"),
            *("-o", f"UserKnownHostsFile={self._known_hosts}"),
            # One login for all commands; each login takes a while.
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=60"),
            *("-o", f"ControlPath=/run/{self.name}.ssh"),
        ]
        return self._client.enter(["ssh", *options, f"root@{self.address}", command], {})

    def stop(self) -> None:
        """Ends the kernel and its room. Safe to repeat."""
        self._leave()
        self._room.stop()

    def _leave(self) -> None:
        """Ends the client's connection, which would outlive the kernel."""
        if self.first_process is not None and self._client.first_process is not None:
            self._client.run(["ssh", "-O", "exit", "-o", f"ControlPath=/run/{self.name}.ssh", "x"])

    def _answers(self) -> bool:
        if self._room.first_process is None:
            raise LabError(f"{self.name} is gone")
        try:
            return self.run(["true"], timeout=10).status == 0
        except LabError:
            # A booting machine may accept a connection and then not answer for a while.
            return False
