"""An account on the Nix server that can only receive copies.

Pure: values in, text out.
"""

from __future__ import annotations

import re
import shlex
from importlib import resources
from typing import Final

from nix_remote.errors import SetupInputUnusable
from nix_remote.server.gc_roots.names import GCROOTS, SET_ROOT_FOLDERS
from nix_remote.server.server_commands import DISPATCHED
from nix_remote.setup import inputs

DISPATCHER_PATH: Final = "/usr/local/bin/nix-remote-dispatcher"

_PUBLIC_KEY: Final = re.compile(
    r"(?P<kind>[a-z0-9@.-]+) (?P<key>[A-Za-z0-9+/]+=*)( [^\x00-\x1f\x7f]*)?"
)

_CHECKS: Final = """\
account={account}
home={home}
# An existing account is used if it is like one that this script makes.
if entry=$(getent passwd "$account"); then
  IFS=: read -r _ _ uid _ _ its_home shell <<END
$entry
END
  another="another name: nix-remote setup server --account NAME"
  [ "$uid" != 0 ] || problem "the account $account is root" "$another"
  [ "$its_home" = "$home" ] ||
    problem "there is an account $account with the home folder $its_home, not $home" "$another"
  case $shell in
    /bin/sh | /usr/bin/sh) ;;
    *) problem "there is an account $account with the login shell $shell, not /bin/sh" "$another" ;;
  esac
  password=$(getent shadow "$account" | cut -d: -f2)
  case $password in
    '!'* | '*'*) ;;
    *)
      without="usermod --password '*' $account"
      problem "the account $account has a password" "$another, or: $without"
      ;;
  esac
fi
if [ -e "$home" ] || [ -L "$home" ]; then
  others=$(ls -A "$home" | grep -vxE '[.]ssh|[.]local' || true)
  if [ -L "$home" ] || [ -n "$others" ] || [ "$(stat -c %u "$home")" != 0 ]; then
    problem "$home is there already, and something else uses it" \\
      "another name: nix-remote setup server --account NAME"
  fi
fi
check_writable "$home/.ssh/authorized_keys"

# The groups that may use the daemon's socket. On Debian and Arch Linux, that is nix-users.
groups=
if getent group nix-users >/dev/null; then groups=nix-users; fi
check_socket() {{
  [ -e "$1" ] || return 0
  mode=0$(stat -c %a "$1")
  if [ "$((mode & $2))" != 0 ]; then return 0; fi
  group=$(stat -c %G "$1")
  if [ "$((mode & ($2 << 3)))" = 0 ] || [ "$group" = root ]; then
    problem "only root may use the daemon's socket: $1" "let a group use it, such as nix-users"
  elif [ "$group" != nix-users ]; then
    groups="$groups $group"
  fi
}}
check_socket /nix/var/nix/daemon-socket 1
check_socket /nix/var/nix/daemon-socket/socket 2
"""

_STEPS: Final = """\
# An account that owns only the folders for durable roots in its home folder: see docs/security.md.
step="the account $account"
if ! getent passwd "$account" >/dev/null; then
  if getent group "$account" >/dev/null; then
    undo "! getent passwd '$account' || userdel '$account'"
    own_group="--gid=$account"
  else
    undo "! getent group '$account' || groupdel '$account'"
    undo "! getent passwd '$account' || userdel '$account'"
    own_group=--user-group
  fi
  useradd --system "$own_group" --shell /bin/sh --password '*' --home-dir "$home" "$account"
  changed "the account $account"
fi
step="the groups of $account, for the socket of Nix's daemon"
for group in $groups; do
  if ! id -nG "$account" | tr ' ' '\\n' | grep -qxF -e "$group"; then
    undo "! id -nG '$account' | grep -qw '$group' || gpasswd -d '$account' '$group'"
    usermod -aG "$group" "$account"
    changed "$account is in the group $group"
  fi
done
step="the folders of $account"
for each in "$home" "$home/.ssh" "$home/.local" "$home/.local/state"; do
  folder "$each" root:root 755
done
for each in "$home/.local/state/nix-remote" {roots}; do
  folder "$each" "$account:$(id -gn "$account")" 755
done
step="the key of $account"
add_line "$home/.ssh/authorized_keys" {line} 644
"""


def dispatcher() -> str:
    """The forced command of a restricted account: `dispatcher.sh` with its marks replaced."""
    template = resources.files("nix_remote.setup").joinpath("dispatcher.sh").read_text()
    template = template.replace("@SET_ROOT_FOLDERS@", SET_ROOT_FOLDERS)
    for mark, command in DISPATCHED.items():
        template = template.replace(f"@{mark}@", shlex.join(command))
    return template


def authorized_keys_line(public_key: str) -> str:
    """The line that restricts a public key, as in a `.pub` file, to the dispatcher.

    Raises `SetupInputUnusable`.
    """
    found = _PUBLIC_KEY.fullmatch(public_key.strip())
    if found is None:
        raise SetupInputUnusable("the public key", "one line with a key type and a key in base 64")
    return f'restrict,command="{DISPATCHER_PATH}" {found["kind"]} {found["key"]}'


def home(account: str) -> str:
    """The account's home folder."""
    return f"/var/lib/{account}"


def roots(account: str) -> str:
    """The account's folder below Nix's gcroots, which the daemon can always read."""
    return f"{GCROOTS}/nix-remote/{account}"


def checks(account: str) -> str:
    """Shell commands for root that find reasons not to begin. Raises `SetupInputUnusable`."""
    return _CHECKS.format(account=inputs.account(account), home=home(account))


def steps(account: str, public_key: str) -> str:
    """Shell commands for root that create the account, after `checks`. They use `change.sh`.

    Raises `SetupInputUnusable`.
    """
    inputs.account(account)
    return _STEPS.format(roots=roots(account), line=shlex.quote(authorized_keys_line(public_key)))
