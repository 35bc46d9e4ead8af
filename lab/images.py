"""Root trees for the lab's hosts: their packages, and how they are built and cached.

A `Debian` image is a release with packages; a `Layer` is the additions of a script
to another image. Both are built once and never changed afterwards: hosts
mount them read-only, below a writable overlay of their own.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from lab import cache
from lab.commands import LabError, run

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIREMENTS = REPOSITORY / "bzl" / "private" / "python" / "requirements.txt"

# Variables that give builds access to package indexes; pip reads its own.
_PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Debian:
    """A Debian release with packages. `suites` are tried in order."""

    name: str
    suites: tuple[str, ...]
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """The additions of `script` (bash, as root, with network) to the image `below`.

    `files` appear in the script's working folder under their own names.
    """

    name: str
    below: Image
    script: str
    files: tuple[Path, ...] = field(default=())


Image = Union[Debian, Layer]


def folder_name(image: Image) -> str:
    """The name of an image's folder in the cache; it changes with any of its inputs."""
    if isinstance(image, Debian):
        return f"{image.name}-{cache.digest(image.suites, image.packages)}"
    below = folder_name(image.below)
    return f"{image.name}-{cache.digest(below, image.script, *image.files)}"


def is_built(image: Image) -> bool:
    """Whether `lower_directories` would return at once."""
    return (cache.root() / folder_name(image)).exists()


def lower_directories(image: Image) -> tuple[Path, ...]:
    """The folders of an image, top first; they are built if needed."""
    if isinstance(image, Debian):
        debian = image
        return (cache.build_once(folder_name(image), lambda folder: _bootstrap(debian, folder)),)
    layer = image
    below = lower_directories(layer.below)
    return (cache.build_once(folder_name(layer), lambda folder: _add(layer, below, folder)), *below)


def _bootstrap(image: Debian, target: Path) -> None:
    refusals = []
    for suite in image.suites:
        shutil.rmtree(target)
        built = run(
            [
                "mmdebstrap",
                "--variant=minbase",
                # Testing and unstable are at times served past their stated validity.
                '--aptopt=Acquire::Check-Valid-Until "false"',
                f"--include={','.join(image.packages)}",
                suite,
                target,
            ],
            timeout=900,
        )
        if built.status == 0:
            return
        refusals.append(f"{suite}:\n{built.stderr[-3000:]}")
    raise LabError(f"no root tree for {image.name}\n" + "\n".join(refusals))


# Runs in its own mount namespace: mounts vanish with it in every case.
_ADD = r"""
set -eu
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs tmpfs "$ROOT/run"
mount -t tmpfs tmpfs "$ROOT/tmp"
mkdir -p "$ROOT/run/build" "$ROOT/run/certificates"
if [ -e "$CERTIFICATES" ]; then cp "$CERTIFICATES" "$ROOT/run/certificates/ca.crt"; fi
touch "$ROOT/etc/resolv.conf"
mount --bind /etc/resolv.conf "$ROOT/etc/resolv.conf"
for file in $FILES; do cp "$file" "$ROOT/run/build/"; done
cd "$ROOT"
exec chroot "$ROOT" /bin/bash -euc "cd /run/build; $SCRIPT"
"""


def _add(image: Layer, below: tuple[Path, ...], target: Path) -> None:
    scratch = target.with_suffix(".scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "work").mkdir(parents=True)
    (scratch / "root").mkdir()
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        "PIP_CERT": "/run/certificates/ca.crt",
        "CERTIFICATES": str(_CERTIFICATES),
        "LOWER": ":".join(str(folder) for folder in below),
        "UPPER": str(target),
        "WORK": str(scratch / "work"),
        "ROOT": str(scratch / "root"),
        "FILES": " ".join(str(path) for path in image.files),
        "SCRIPT": image.script,
    }
    if not _CERTIFICATES.exists():
        del env["PIP_CERT"]
    try:
        command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", _ADD]
        run(command, timeout=900, env=env).check()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


# Bazel 7.7, Nix 2.34, buildbox, OpenSSH: workstation, server and executor.
CURRENT = Debian(
    "testing",
    ("testing", "unstable"),
    (
        "bazel-bootstrap",
        "bubblewrap",
        "buildbox",
        "gcc",
        "iproute2",
        "libc6-dev",
        "nix-bin",
        "openssh-client",
        "openssh-server",
        "procps",
        "python3",
        "python3-venv",
    ),
)

# The Nix server of most tests, with login shells that people have.
SERVER = Layer(
    "nix-server",
    CURRENT,
    r"""
apt-get -q -o Acquire::Check-Valid-Until=false update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
    fish tcsh zsh >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
""",
)

# A Nix server whose system calls can be delayed.
TRACED_SERVER = Layer(
    "traced-server",
    CURRENT,
    r"""
apt-get -q -o Acquire::Check-Valid-Until=false update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends strace >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
""",
)

# A Nix server that exports its store over NFS: without a kernel of its own, by nfs-ganesha.
# The kernel's server is there for its tools and units.
NFS_SERVER = Layer(
    "nfs-server",
    SERVER,
    r"""
apt-get -q -o Acquire::Check-Valid-Until=false update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
    nfs-ganesha nfs-ganesha-vfs nfs-kernel-server rpcbind >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
""",
)

# An executor with a kernel of its own (`kernels.py`), which can mount NFS.
KERNEL_EXECUTOR = Layer(
    "kernel-executor",
    CURRENT,
    r"""
apt-get -q -o Acquire::Check-Valid-Until=false update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
    btrfs-progs cachefilesd e2fsprogs kmod nfs-common rpcbind >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
""",
)

# Debian 12: Nix 2.8, and the packages that the lab's own package set is made of.
OLD = Debian("debian12", ("bookworm",), ("iproute2", "nix-bin", "openssh-server", "procps"))

# A usual Nix server: systemd, the daemon behind a socket, the kernel's NFS server.
# It boots from a disk (`disk.py`). Below `/lab` it sees the files of its room: the settings that
# the lab makes, and the modules of its kernel.
SYSTEM_SERVER = Layer(
    "system-server",
    Debian(
        "system",
        ("testing", "unstable"),
        (
            "btrfs-progs",
            "dbus",
            "e2fsprogs",
            "iproute2",
            "kmod",
            "nfs-kernel-server",
            "nix-bin",
            "nix-setup-systemd",
            "openssh-server",
            "procps",
            "python3",
            "systemd-sysv",
        ),
    ),
    r"""
mkdir /lab
ln -s /lab/usr/lib/modules /usr/lib/modules
cat > /usr/sbin/lab-init <<'EOF'
#!/bin/sh
# The first process. systemd needs the kernel's modules from the start.
/usr/bin/mount -t hostfs none /lab
exec /lib/systemd/systemd "$@"
EOF
chmod 755 /usr/sbin/lab-init
cat > /etc/systemd/system/lab.service <<'EOF'
[Unit]
Description=What the lab tells this machine
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/bash /lab/machine/boot.sh
[Install]
WantedBy=sysinit.target
EOF
systemctl -q enable lab.service
# What only costs time at boot: nothing here is plugged in, and nothing is to change by itself.
systemctl -q mask \
    getty@.service serial-getty@.service ldconfig.service fstrim.timer dpkg-db-backup.timer \
    apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service \
    systemd-udevd.service systemd-udev-trigger.service systemd-hwdb-update.service \
    systemd-timesyncd.service systemd-networkd.service systemd-resolved.service \
    systemd-journal-catalog-update.service systemd-update-done.service \
    modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service
: > /etc/fstab
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
""",
)

# Debian 13: Nix 2.26, and the Remote Execution service.
STABLE = Debian(
    "debian13",
    ("trixie",),
    ("iproute2", "nix-bin", "openssh-server", "postgresql", "procps", "python3-venv"),
)

OLD_WITH_PYTHON = Layer(
    "debian12-python",
    OLD,
    r"""
apt-get -q update >/dev/null
apt-get -q -y install --no-install-recommends python3-venv >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
""",
)


def _workstation(name: str, below: Image) -> Layer:
    """Adds the copier's environment.

    The wheels that nix_remote's Bazel rules install, for hosts without internet;
    an environment with the copier's dependencies, for running it by hand; and a
    `nix-remote` that starts it as the rules do, with bytecode kept.
    """
    return Layer(
        name,
        below,
        r"""
python3 -m venv /opt/nix-remote
/opt/nix-remote/bin/pip download --quiet --no-deps --require-hashes \
    --only-binary=:all: --requirement requirements.txt --dest /opt/wheels
/opt/nix-remote/bin/pip install --quiet --no-deps --no-index --require-hashes \
    --find-links /opt/wheels --requirement requirements.txt
printf '[global]\nno-index = true\nfind-links = /opt/wheels\n' > /etc/pip.conf
site=$(/opt/nix-remote/bin/python -c 'import site; print(site.getsitepackages()[0])')
echo /src/nix_remote > "$site/nix_remote.pth"
cat > /usr/local/bin/nix-remote <<'EOF'
#!/bin/sh
exec /opt/nix-remote/bin/python -I -X pycache_prefix=/var/cache/nix-remote -m nix_remote "$@"
EOF
chmod +x /usr/local/bin/nix-remote
""",
        (REQUIREMENTS,),
    )


# The current one can also run the Python tests, as Bazel targets; and ask a Remote Execution
# service itself.
_WORKSTATION_WITH_PYTEST = Layer(
    "workstation-pytest",
    _workstation("workstation", CURRENT),
    r"""
python3 -m venv /opt/tests
site=$(echo /opt/tests/lib/python3*/site-packages)
echo /opt/nix-remote/lib/python3*/site-packages > "$site/copier.pth"
packages="hypothesis pytest pytest-bazel pytest-timeout"
PIP_CONFIG_FILE=/dev/null /opt/tests/bin/pip install --quiet --disable-pip-version-check $packages
""",
)
WORKSTATION = Layer(
    "workstation-grpc",
    _WORKSTATION_WITH_PYTEST,
    r"""
PIP_CONFIG_FILE=/dev/null /opt/nix-remote/bin/pip install --quiet --disable-pip-version-check grpcio
""",
)
STABLE_WORKSTATION = _workstation("workstation-debian13", STABLE)
OLD_WORKSTATION = _workstation("workstation-debian12", OLD_WITH_PYTHON)

# Other credentials: a smart card in software, Kerberos with its own KDC, and the fake security
# key of OpenSSH's own tests.
TOKEN_WORKSTATION = Layer(
    "workstation-tokens",
    WORKSTATION,
    r"""
apt-get -q -o Acquire::Check-Valid-Until=false update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
    krb5-admin-server krb5-kdc krb5-user openssh-client-gssapi softhsm2 >/dev/null
cd /tmp
apt-get -q -o APT::Sandbox::User=root download openssh-tests >/dev/null
dpkg-deb -x openssh-tests_*.deb tests
install -m 644 tests/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so /usr/lib/openssh/
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
""",
)

BUILDGRID = Layer(
    "buildgrid",
    STABLE,
    r"""
python3 -m venv /opt/buildgrid
/opt/buildgrid/bin/pip install --quiet --requirement buildgrid-requirements.txt

# A database that is ready to start. Losing it costs nothing: no need to sync.
database=/var/lib/remote-execution/database
programs=$(echo /usr/lib/postgresql/*/bin)
as_postgres="setpriv --reuid=postgres --regid=postgres --init-groups"
install -d -o postgres -g postgres -m 700 "$database" /run/postgresql
$as_postgres "$programs/initdb" --pgdata="$database" --auth=trust --no-sync \
    --username=buildgrid >/dev/null
printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '/run/postgresql'" \
    "fsync = off" "full_page_writes = off" "synchronous_commit = off" \
    "shared_buffers = 32MB" "max_connections = 60" >> "$database/postgresql.conf"
$as_postgres "$programs/pg_ctl" --pgdata="$database" --wait --silent --log=/tmp/database.log start
/opt/buildgrid/bin/bgd migrate apply 'postgresql+psycopg:///postgres?host=/run/postgresql&user=buildgrid'
$as_postgres "$programs/pg_ctl" --pgdata="$database" --wait --silent --mode=fast stop
""",
    (Path(__file__).with_name("buildgrid-requirements.txt"),),
)

# Debian 12's own packages as files, for `lab/nixpkgs`. That release, because
# patchelf 0.18 of the later ones breaks programs that are not position independent.
PACKAGE_FILES = Layer(
    "package-files",
    OLD,
    r"""
mkdir -p /opt/debs
cd /opt/debs
apt-get -q update >/dev/null
apt-get -q -o APT::Sandbox::User=root download $(cat /run/build/packages.txt)
for file in *.deb; do mv "$file" "${file%%_*}.deb"; done
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
""",
    (Path(__file__).parent / "nixpkgs" / "packages.txt",),
)


def package_files() -> Path:
    """The folder of Debian packages (`NAME.deb`) that `lab/nixpkgs` unpacks."""
    return lower_directories(PACKAGE_FILES)[0] / "opt" / "debs"
