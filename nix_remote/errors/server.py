"""Nix on the server: whether it is there, answers, and takes what we may send."""

from __future__ import annotations

from typing import Optional

from nix_remote.errors.base import NixRemoteError

# Nix on the server


class ServerError(NixRemoteError):
    """Logged in, but the server does not do what a Nix server does."""

    exit_status = 15


class NixNotFound(ServerError):
    code = "nix-not-found"

    def __init__(self, alias: str, tried: str, message: str) -> None:
        super().__init__(
            f"there is no Nix on {alias}, or not where a login without a terminal finds it",
            why=f"tried {tried}" + (f"; it said: {message}" if message else ""),
            fix=f"check: ssh {alias} nix-daemon --version\n"
            "(Nix must be on the PATH that sshd gives, or in one of the usual places)",
        )


class UnexpectedOutput(ServerError):
    code = "unexpected-output"

    def __init__(self, alias: str, printed: str) -> None:
        super().__init__(
            f"{alias} printed something instead of speaking the Nix protocol",
            why=f"it began with: {printed}",
            fix=f"this must print nothing at all: ssh {alias} true\n"
            "(look at .bashrc and the like on the server, or at a login shell of nologin)",
        )


class ServerTooOld(ServerError):
    code = "server-too-old"

    def __init__(self, alias: str, version: str, needed: str) -> None:
        super().__init__(
            f"the Nix of {alias} is too old ({version})", fix=f"install {needed} or later there"
        )


class ServerEndedSession(ServerError):
    code = "server-ended-session"

    def __init__(self, alias: str, doing: str, message: str, status: Optional[int] = None) -> None:
        super().__init__(
            f"Nix on {alias} ended the session while {doing}",
            why=f"it said: {message}" if message else "it did not say why",
            fix=f"its daemon's log may say more: ssh {alias} journalctl --unit nix-daemon -n 20\n"
            "then run this again: paths that arrived whole are kept",
        )
        self.message = message
        self.exited = status is not None
        """Whether the program came to its end; it was not killed, and the connection not cut."""


class AccountNotAllowed(ServerError):
    code = "account-not-allowed"

    def __init__(self, alias: str, user: str, message: str) -> None:
        words = f"it said: {message}" if message else "it said nothing, twice"
        others = (
            "\nif that is not it: a login shell or forced command that ends at once looks the same"
        )
        super().__init__(
            f"the Nix daemon of {alias} does not serve the account {user}",
            why=f"it closes the connection at once, as it does with accounts that are not in"
            f" allowed-users;\n{words}",
            fix=f"on the server, in nix.conf, add {user} to the line of allowed-users, or remove"
            " that line\n(without it every account is allowed), then restart the daemon:"
            " systemctl restart nix-daemon\nif the account is in it, the daemon's log says more:"
            f" journalctl --unit nix-daemon -n 20{'' if message else others}",
        )


class DaemonSocketClosed(ServerError):
    code = "daemon-socket-closed"

    def __init__(self, alias: str, user: str, message: str) -> None:
        super().__init__(
            f"the account {user} may not open the socket of the Nix daemon of {alias}",
            why=f"it said: {message}",
            fix="on the server, add the account to the group that may open it (Debian's is"
            f" nix-users):\nusermod --append --groups nix-users {user}\n"
            "(ls -ld /nix/var/nix/daemon-socket shows which group that is)",
        )


class DaemonNotReached(ServerError):
    code = "daemon-not-reached"

    def __init__(self, alias: str, user: str, message: str) -> None:
        super().__init__(
            f"Nix on {alias} did not reach its daemon for the account {user}",
            why=f"it said: {message}",
            fix="on the server, see whether the daemon runs: systemctl status nix-daemon.socket"
            " nix-daemon.service\nif it runs, the account may not open its socket; ls -ld"
            " /nix/var/nix/daemon-socket shows the group that may:\n"
            f"usermod --append --groups GROUP {user}",
        )


class ProtocolViolation(ServerError):
    code = "protocol-violation"

    def __init__(self, alias: str, why: str) -> None:
        super().__init__(
            f"{alias} sent something that is not in the Nix protocol",
            why=why,
            fix="run it again; if it happens again, please report it with the output of -v",
        )


class OutputTooLong(ServerError):
    code = "output-too-long"

    def __init__(self, alias: str, waiting_for: str, bound: str) -> None:
        super().__init__(
            f"a program on {alias} prints more than {bound}",
            why=f"it was run for {waiting_for}; nothing is concluded from a part of its output",
            fix="run it again; if it happens again, please report it with the output of -v",
        )


# Trust


class TrustError(NixRemoteError):
    """The server's Nix does not accept what we may send."""

    exit_status = 16


class SignatureRequired(TrustError):
    code = "signature-required"

    def __init__(self, alias: str, user: str, path: str, signers: Optional[str], more: int) -> None:
        others = f", and neither have {more} more" if more else ""
        super().__init__(
            f"Nix on {alias} takes paths that no key it trusts has signed only from users it"
            f" trusts; {user} is not one",
            why=f"{path} is signed by {signers}, whom it does not trust"
            if signers
            else f"{path} has no signature{others}",
            fix="one of these; the first gives the account the least power over the server:\n"
            "1. sign what is sent with a key that the server trusts: --sign-key FILE\n"
            "   (or NIX_REMOTE_SIGN_KEY_FILE)\n"
            "2. let the server trust a new key: nix-store --generate-binary-cache-key"
            " NAME-1 secret public\n"
            "   and on the server, in nix.conf: extra-trusted-public-keys = NAME-1:… (what"
            " public says)\n"
            "3. let the server trust the account with everything, as root: on the server,\n"
            "   in nix.conf, add the account to the line of trusted-users, or write it:\n"
            f"   trusted-users = root {user}\n"
            "nix.conf is read when the server's Nix daemon is restarted",
        )
