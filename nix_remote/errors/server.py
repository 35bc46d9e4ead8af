"""Nix on the server: it is missing, does not answer, or does not accept what the account sends."""

from __future__ import annotations

from typing import Optional

from nix_remote.errors.base import NixRemoteError

# Nix on the server


class ServerError(NixRemoteError):
    """The login succeeded, but the server does not behave like a Nix server."""

    exit_status = 15


class NixNotFound(ServerError):
    code = "nix-not-found"

    def __init__(self, alias: str, tried: str, message: str) -> None:
        super().__init__(
            f"no Nix found on {alias}",
            why=f"tried {tried}" + (f"; the server reported: {message}" if message else ""),
            fix=f"check: ssh {alias} nix-daemon --version\n"
            "(Nix must be on the PATH of a login without a terminal, or in one of the usual"
            " folders)",
        )


class UnexpectedOutput(ServerError):
    code = "unexpected-output"

    def __init__(self, alias: str, printed: str) -> None:
        super().__init__(
            f"{alias} printed something instead of speaking the Nix protocol",
            why=f"its output begins with: {printed}",
            fix=f"this command must print nothing: ssh {alias} true\n"
            "(check .bashrc and similar files on the server, and that the login shell is not"
            " nologin)",
        )


class ServerTooOld(ServerError):
    code = "server-too-old"

    def __init__(self, alias: str, version: str, needed: str) -> None:
        super().__init__(
            f"Nix on {alias} is too old ({version})",
            fix=f"install {needed} or later on the server",
        )


class ServerEndedSession(ServerError):
    code = "server-ended-session"

    def __init__(self, alias: str, doing: str, message: str, status: Optional[int] = None) -> None:
        super().__init__(
            f"Nix on {alias} ended the session while {doing}",
            why=f"the server reported: {message}" if message else "the server gave no reason",
            fix=f"see the daemon's log: ssh {alias} journalctl --unit nix-daemon -n 20\n"
            "then run this again: paths that arrived whole are kept",
        )
        self.message = message
        self.exited = status is not None
        """Whether the program exited; false if it was killed or the connection broke."""


class AccountNotAllowed(ServerError):
    code = "account-not-allowed"

    def __init__(self, alias: str, user: str, message: str) -> None:
        output = f"the server reported: {message}" if message else "it gave no reason, twice"
        others = "\nalso possible: a login shell or forced command that exits at once"
        super().__init__(
            f"the Nix daemon of {alias} does not serve the account {user}",
            why=f"it closes the connection at once, as it does for accounts that are not in"
            f" allowed-users;\n{output}",
            fix=f"in nix.conf on the server, add {user} to allowed-users, or remove that line"
            "\n(without it every account is allowed), then restart the daemon:"
            " systemctl restart nix-daemon\nif the account is listed, see the daemon's log:"
            f" journalctl --unit nix-daemon -n 20{'' if message else others}",
        )


class DaemonSocketClosed(ServerError):
    code = "daemon-socket-closed"

    def __init__(self, alias: str, user: str, message: str) -> None:
        super().__init__(
            f"the account {user} may not open the socket of the Nix daemon of {alias}",
            why=f"the server reported: {message}",
            fix="on the server, add the account to the group that may open the socket (on Debian:"
            f" nix-users):\nusermod --append --groups nix-users {user}\n"
            "(ls -ld /nix/var/nix/daemon-socket shows the group)",
        )


class DaemonNotReached(ServerError):
    code = "daemon-not-reached"

    def __init__(self, alias: str, user: str, message: str) -> None:
        super().__init__(
            f"Nix on {alias} cannot connect to its daemon for the account {user}",
            why=f"the server reported: {message}",
            fix="on the server, check that the daemon runs: systemctl status nix-daemon.socket"
            " nix-daemon.service\nif it runs, the account may not open its socket; ls -ld"
            " /nix/var/nix/daemon-socket shows the group that may:\n"
            f"usermod --append --groups GROUP {user}",
        )


class ProtocolViolation(ServerError):
    code = "protocol-violation"

    def __init__(self, alias: str, why: str) -> None:
        super().__init__(
            f"{alias} violated the Nix protocol",
            why=why,
            fix="run it again; if it happens again, please report it with the output of -v",
        )


class OutputTooLong(ServerError):
    code = "output-too-long"

    def __init__(self, alias: str, waiting_for: str, bound: str) -> None:
        super().__init__(
            f"a program on {alias} printed more than {bound}",
            why=f"it ran for {waiting_for}; incomplete output is not used",
            fix="run it again; if it happens again, please report it with the output of -v",
        )


# Trust


class TrustError(NixRemoteError):
    """Nix on the server does not accept what the account may send."""

    exit_status = 16


class SignatureRequired(TrustError):
    code = "signature-required"

    def __init__(self, alias: str, user: str, path: str, signers: Optional[str], more: int) -> None:
        others = f", and {more} more {'has' if more == 1 else 'have'} none" if more else ""
        super().__init__(
            f"Nix on {alias} requires a signature by a trusted key, because it does not trust the"
            f" user {user}",
            why=f"{path} is signed by {signers}, a key that it does not trust"
            if signers
            else f"{path} has no signature{others}",
            fix="one of these; the first gives the account the least power over the server:\n"
            "1. sign paths with a key that the server trusts: --sign-key FILE\n"
            "   (or NIX_REMOTE_SIGN_KEY_FILE)\n"
            "2. let the server trust a new key: nix-store --generate-binary-cache-key"
            " NAME-1 secret public\n"
            "   and in nix.conf on the server: extra-trusted-public-keys = NAME-1:… (the content"
            " of public)\n"
            "3. let the server trust the account as much as root: in nix.conf on the server,\n"
            "   add the account to the line trusted-users, or write that line:\n"
            f"   trusted-users = root {user}\n"
            "the Nix daemon reads nix.conf when it is restarted",
        )
