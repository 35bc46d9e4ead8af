"""An account on the Nix server that can do nothing but take copies.

Pure: values in, text out.
"""

from __future__ import annotations

import re
import shlex
from importlib import resources
from typing import Final

from nix_remote.doctor.exports import EXPORTS_COMMAND
from nix_remote.errors import SetupInputUnusable
from nix_remote.remote.postmortem import LOOK_COMMAND
from nix_remote.remote.roots import LIST_COMMAND, REMOVE_COMMAND
from nix_remote.setup import inputs

DISPATCHER_PATH: Final = "/usr/local/bin/nix-remote-dispatcher"

_PUBLIC_KEY: Final = re.compile(
    r"(?P<kind>[a-z0-9@.-]+) (?P<key>[A-Za-z0-9+/]+=*)( [^\x00-\x1f\x7f]*)?"
)

_STEPS: Final = """\
# An account that owns nothing in its home folder but where durable roots go: see docs/security.md.
getent passwd {account} >/dev/null ||
  useradd --system --user-group --shell /bin/sh --password '*' --home-dir {home} {account}
install -d -o root -g root -m 755 {home} {home}/.ssh {home}/.local {home}/.local/state
install -d -o {account} -g {account} -m 755 {home}/.local/state/nix-remote {roots}
authorized={home}/.ssh/authorized_keys
touch "$authorized"
chmod 644 "$authorized"
line={line}
grep -qxF "$line" "$authorized" || echo "$line" >>"$authorized"
"""


def dispatcher() -> str:
    """The program that a restricted account is to run: `dispatcher.sh`, filled in."""
    template = resources.files("nix_remote.setup").joinpath("dispatcher.sh").read_text()
    commands = {
        "@LIST@": LIST_COMMAND,
        "@REMOVE@": REMOVE_COMMAND,
        "@LOOK@": LOOK_COMMAND,
        "@EXPORTS@": EXPORTS_COMMAND,
    }
    for mark, command in commands.items():
        template = template.replace(mark, shlex.join(command))
    return template


def authorized_keys_line(public_key: str) -> str:
    """The line that ties a public key, as in a `.pub` file, to the dispatcher.

    Raises `SetupInputUnusable`.
    """
    found = _PUBLIC_KEY.fullmatch(public_key.strip())
    if found is None:
        raise SetupInputUnusable("the public key", "a key type and a key in base 64, in one line")
    return f'restrict,command="{DISPATCHER_PATH}" {found["kind"]} {found["key"]}'


def home(account: str) -> str:
    """The account's home folder."""
    return f"/var/lib/{account}"


def roots(account: str) -> str:
    """The account's own folder below Nix's: the daemon sees it even where it cannot see homes."""
    return f"/nix/var/nix/gcroots/nix-remote/{account}"


def steps(account: str, public_key: str) -> str:
    """Shell commands for root that make the account. Raises `SetupInputUnusable`."""
    return _STEPS.format(
        account=inputs.account(account),
        home=home(account),
        roots=roots(account),
        line=shlex.quote(authorized_keys_line(public_key)),
    )
