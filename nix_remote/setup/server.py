"""What a Nix server needs for an account that can do nothing but take copies.

Pure: values in, a shell script for root out.
"""

from __future__ import annotations

import re
import shlex
from importlib import resources
from typing import Final

from nix_remote.errors import SetupInputUnusable
from nix_remote.remote.postmortem import LOOK_COMMAND
from nix_remote.remote.roots import LIST_COMMAND, REMOVE_COMMAND

DISPATCHER_PATH: Final = "/usr/local/bin/nix-remote-dispatcher"

_ACCOUNT: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_PUBLIC_KEY: Final = re.compile(
    r"(?P<kind>[a-z0-9@.-]+) (?P<key>[A-Za-z0-9+/]+=*)( [^\x00-\x1f\x7f]*)?"
)

_SCRIPT: Final = """\
# For root on the Nix server: nix-remote setup server … | ssh root@SERVER sh
set -eu

# The only program that the key can start.
cat >{dispatcher_path}.new <<'END-OF-DISPATCHER'
{dispatcher}END-OF-DISPATCHER
chmod 755 {dispatcher_path}.new
mv {dispatcher_path}.new {dispatcher_path}

# An account that owns nothing in its home folder but where durable roots go: see docs/security.md.
getent passwd {account} >/dev/null ||
  useradd --system --user-group --shell /bin/sh --password '*' --home-dir {home} {account}
install -d -o root -g root -m 755 {home} {home}/.ssh {home}/.local {home}/.local/state
install -d -o {account} -g {account} -m 755 {home}/.local/state/nix-remote
authorized={home}/.ssh/authorized_keys
touch "$authorized"
chmod 644 "$authorized"
line={line}
grep -qxF "$line" "$authorized" || echo "$line" >>"$authorized"

# What is left to decide, in nix.conf. The first gives the account less power over the server:
#   extra-trusted-public-keys = NAME-1:…   and copies are signed (nix-remote copy --sign-key)
#   extra-trusted-users = {account}
"""


def dispatcher() -> str:
    """The program that a restricted account is to run: `dispatcher.sh`, filled in."""
    template = resources.files("nix_remote.setup").joinpath("dispatcher.sh").read_text()
    commands = (("@LIST@", LIST_COMMAND), ("@REMOVE@", REMOVE_COMMAND), ("@LOOK@", LOOK_COMMAND))
    for mark, command in commands:
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


def script(account: str, public_key: str) -> str:
    """Everything, as a shell script for root. Raises `SetupInputUnusable`."""
    if not _ACCOUNT.fullmatch(account):
        raise SetupInputUnusable("the account's name", "lower-case letters, digits, - and _")
    return _SCRIPT.format(
        dispatcher_path=DISPATCHER_PATH,
        dispatcher=dispatcher(),
        account=account,
        home=f"/var/lib/{account}",
        line=shlex.quote(authorized_keys_line(public_key)),
    )
