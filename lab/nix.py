"""Nix on a host of the lab: configuration, build users, daemon, store content."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Iterator, Sequence

from lab import images
from lab.host import Host, wait_until

PACKAGE_SET = "/opt/nixpkgs"
"""Where `install_package_set` puts the lab's own package set."""

_BUILD_USERS = 4


class Version(Enum):
    """The versions of Nix that a host can have."""

    V2_8 = "2.8"
    """Debian 12's."""
    V2_26 = "2.26"
    """Debian 13's."""
    CURRENT = "current"
    """Debian testing's."""


def configure(host: Host, *, first_user_id: int, extra: str = "") -> None:
    """Writes `nix.conf` and makes the build users.

    Every host needs its own range of user ids: Nix ends all processes of a
    build user before and after a build, whichever host they belong to.
    `extra` is appended to `nix.conf`.
    """
    host.write(
        "/etc/nix/nix.conf",
        # Debian's /usr has the tools that unpack packages. Not /bin: it is a link
        # to /usr/bin, and binding it hides what Nix itself puts there.
        "sandbox = true\n"
        "extra-sandbox-paths = /usr /lib=/usr/lib /lib64=/usr/lib64\n"
        "build-users-group = nixbld\n"
        "substituters =\n" + extra,
    )
    host.sh(
        f"""
        getent group nixbld >/dev/null || groupadd --gid {first_user_id} nixbld
        for number in $(seq 1 {_BUILD_USERS}); do
          useradd --uid $(({first_user_id} + number)) --gid nixbld --groups nixbld \
            --no-create-home --home-dir /var/empty --shell /usr/sbin/nologin nixbld$number
        done
        """
    )


def start_daemon(host: Host, command: Sequence[str] = ("nix-daemon",)) -> None:
    """Starts `nix-daemon`, by that command; returns when it answers."""
    host.start_service("nix-daemon", command)
    socket = "/nix/var/nix/daemon-socket/socket"
    wait_until(
        lambda: host.run(["test", "-S", socket]).status == 0, f"the Nix daemon of {host.name}"
    )


def restart_daemon(host: Host) -> None:
    """Lets `nix-daemon` read its configuration again."""
    host.stop_service("nix-daemon")
    start_daemon(host)


@contextmanager
def configured(host: Host, *lines: str) -> Iterator[None]:
    """Adds lines to the `nix.conf` of a host with a running daemon, in a `with` block."""
    before = host.read("/etc/nix/nix.conf")
    host.write("/etc/nix/nix.conf", before + "".join(f"{line}\n" for line in lines))
    restart_daemon(host)
    try:
        yield
    finally:
        host.write("/etc/nix/nix.conf", before)
        restart_daemon(host)


@dataclass(frozen=True)
class SigningKeys:
    """A key pair that store paths are signed with."""

    secret: str
    """The file of the private half."""
    public: str
    """The public half, as `nix.conf` names it."""


def new_signing_keys(host: Host, name: str) -> SigningKeys:
    """Creates a key pair with Nix's own tools, in a new folder."""
    folder = host.sh("mktemp -d").strip()
    make = ["nix-store", "--generate-binary-cache-key", name]
    host.run([*make, f"{folder}/secret", f"{folder}/public"]).check()
    return SigningKeys(f"{folder}/secret", host.read(f"{folder}/public").strip())


def install_package_set(host: Host) -> None:
    """Puts the lab's package set and the Debian packages it unpacks on a host."""
    host.put(Path(__file__).parent / "nixpkgs", PACKAGE_SET)
    host.put(images.package_files(), f"{PACKAGE_SET}/debs")


def build(host: Host, attributes: Sequence[str], *, timeout: float = 300) -> dict[str, str]:
    """Builds packages of the lab's package set; returns attribute -> store path."""
    paths = {}
    for attribute in attributes:
        command = ["nix-build", PACKAGE_SET, "--no-out-link", "-A", attribute]
        paths[attribute] = host.run(command, timeout=timeout).check().stdout.strip()
    return paths


def build_expression(host: Host, expression: str, *, timeout: float = 300) -> list[str]:
    """Builds a Nix expression (`pkgs` is the lab's package set); returns its store paths."""
    text = f"let pkgs = import {PACKAGE_SET} {{ }}; in {expression}"
    command = ["nix-build", "--no-out-link", "-E", text]
    return host.run(command, timeout=timeout).check().stdout.split()


def closure(host: Host, path: str) -> list[str]:
    """The closure of `path`, references first."""
    return host.run(["nix-store", "--query", "--requisites", path]).check().stdout.split()


def is_valid(host: Host, path: str) -> bool:
    return host.run(["nix-store", "--check-validity", path]).status == 0


@dataclass(frozen=True)
class Registration:
    """A store's registration of a path."""

    path: str
    nar_hash: str
    nar_size: int
    references: tuple[str, ...]


def registration(host: Host, path: str) -> Registration:
    """The registration of a valid path, by the host's own Nix."""

    def query(what: str) -> list[str]:
        return host.run(["nix-store", "--query", what, path]).check().stdout.split()

    return Registration(
        path, query("--hash")[0], int(query("--size")[0]), tuple(sorted(query("--references")))
    )


def collect_garbage(host: Host) -> list[str]:
    """Collects garbage; returns the deleted store paths."""
    done = host.run(["nix-store", "--gc"], timeout=120).check()
    return [
        line.split("'")[1]
        for line in done.text.splitlines()
        if line.startswith("deleting '/nix/store/") and "/nix/store/trash" not in line
    ]


def empty_store(host: Host) -> None:
    """Removes all roots that clients made, and collects garbage."""
    # `auto`, and the folders in which accounts create roots directly.
    roots = "/nix/var/nix/gcroots"
    host.sh(f"[ ! -d {roots} ] || find {roots} -mindepth 2 -type l -delete")
    collect_garbage(host)


def verify(host: Host, paths: Sequence[str]) -> None:
    """Compares the content of every path with its registered hash; `LabError` on a difference."""
    host.run(["nix-store", "--verify-path", *paths], timeout=120).check()


@contextmanager
def moved_away(host: Host, path: str) -> Iterator[None]:
    """In a `with` block, the host's store lacks a path that its database has."""
    host.sh(f"mv {path} /nix/store/away")
    try:
        yield
    finally:
        host.sh(f"mv /nix/store/away {path}")
