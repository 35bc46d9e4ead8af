"""From a host's name to its store: SSH connection, the command that speaks Nix, the session."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Final, Iterator

from nix_remote import events
from nix_remote.errors import NixNotFound
from nix_remote.protocol import versions
from nix_remote.remote.session import WorkerSession
from nix_remote.remote.store import RemoteStore
from nix_remote.remote.worker_store import WorkerStore
from nix_remote.settings import Settings
from nix_remote.ssh import config, paramiko_transport
from nix_remote.ssh.transport import Transport

_PLAIN: Final = ("nix-daemon", "--stdio")

# sshd gives a login without a terminal a short PATH, and reads no profile.
_USUAL_PLACES: Final = (
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "$HOME/.nix-profile/bin",
    "$HOME/.local/state/nix/profile/bin",
    "/usr/local/bin",
)
_SEARCHING: Final = (
    "sh",
    "-c",
    f'PATH="$PATH:{":".join(_USUAL_PLACES)}"; exec nix-daemon --stdio',
)


@contextmanager
def open_store(settings: Settings, listener: events.Listener) -> Iterator[RemoteStore]:
    """A session with the server's store for the length of a `with` block."""
    host = config.resolve(settings.host, settings.ssh_config)
    transport = paramiko_transport.connect(host)
    try:
        session = _open_session(transport, settings, listener)
        server = session.greeting()
        listener(events.Connected(settings.host, f"{transport.description}; {_describe(server)}"))
        yield WorkerStore(session, alias=settings.host, user=host.user, listener=listener)
        session.close()
    finally:
        transport.close()


def _open_session(
    transport: Transport, settings: Settings, listener: events.Listener
) -> WorkerSession:
    def start(command: tuple[str, ...]) -> WorkerSession:
        session = WorkerSession(
            transport.open(command),
            alias=settings.host,
            command=" ".join(command),
            stall_timeout=settings.stall_timeout,
            listener=listener,
        )
        session.greeting()
        return session

    try:
        # The plain command first: an account may be restricted to exactly that.
        return start(_PLAIN)
    except NixNotFound:
        return start(_SEARCHING)


def _describe(server: versions.WorkerServer) -> str:
    trust = {True: "trusts us", False: "does not trust us", None: "does not say if it trusts us"}
    nix = server.nix_version or "of unknown version"
    return f"worker protocol {server.effective}, Nix {nix}, which {trust[server.trusts_us]}"
