"""A Nix server on Debian or Ubuntu: account, Nix's settings, export of the store, retention.

Pure: a plan in, files and a script for root out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nix_remote.setup import account, advisory_check, change, inputs, nfs_server, retention
from nix_remote.setup.bundle import Bundle, File, script

NIX_SETTINGS_PATH: Final = "/etc/nix/nix-remote.conf"


@dataclass(frozen=True)
class ServerPlan:
    """What a server is to be."""

    public_key: str
    """The key that may log in, as in a `.pub` file."""
    account: str = "nix-remote"
    trusted_key: str = ""
    """A public key of Nix's: what it has signed is taken. Empty: the account is trusted instead,
    if `executors` are given, else nothing is decided."""
    executors: tuple[str, ...] = ()
    """Networks that may mount the store. None: the server takes copies, and exports nothing."""
    fsid: str = ""
    """What the export is known by, where the file system has no UUID of its own."""
    threads: int = 32
    """Of the NFS server."""
    policy: retention.Policy = retention.Policy()


def bundle(plan: ServerPlan) -> Bundle:
    """Everything, for Debian and Ubuntu. Raises `SetupInputUnusable`."""
    files = [File(account.DISPATCHER_PATH, account.dispatcher(), 0o755)]
    checks = [_CHECKS, account.checks(plan.account)]
    steps = [account.steps(plan.account, plan.public_key), change.put(files), _NIX_BEGIN]
    if plan.trusted_key or plan.executors:
        settings = File(NIX_SETTINGS_PATH, nix_settings(plan))
        files.append(settings)
        steps.append(_NIX_STEPS.format(put=change.put([settings])))
    else:
        steps.append(_UNDECIDED.format(account=plan.account))
    if not plan.trusted_key and plan.executors:
        steps.append(_TRUST_STEP)
    steps.append(_ALLOWED_STEP)
    if plan.executors:
        served = nfs_server.files(plan.executors, plan.fsid, plan.threads)
        retained = retention.files(plan.account, plan.policy)
        files += [*served, *retained]
        checks.append(nfs_server.checks())
        steps.append(nfs_server.put(served))
        steps.append(_RETENTION.format(put=change.put(retained)))
        steps.append(nfs_server.steps(plan.executors, plan.threads))
    checks.append("".join(f"check_writable {file.path}\n" for file in files))
    preparations = nfs_server.preparations() if plan.executors else ""
    whole = script(
        _HEAD,
        change.machinery(),
        *checks,
        f"begin\n{preparations}",
        *steps,
        _DAEMON_STEPS,
        advisory_check.steps(),
    )
    return Bundle(
        tuple(files), "look at it, then, for root on the server: | ssh root@SERVER sh", whole
    )


def nix_settings(plan: ServerPlan) -> str:
    """The lines for `nix.conf`."""
    if plan.trusted_key:
        return _TRUSTED_KEY.format(key=inputs.nix_public_key(plan.trusted_key))
    return _TRUSTED_ACCOUNT.format(account=inputs.account(plan.account))


_HEAD: Final = """\
# For root on the Nix server: nix-remote setup server … | ssh root@SERVER sh
# It checks everything before it changes anything; if a step fails, what it has changed is put
# back. It can be run again at any time: what is right is left alone, and nothing is restarted.
set -eu

"""

_TRUSTED_KEY: Final = """\
# Included by nix.conf. What this key has signed is taken from everybody; the account itself is
# not trusted with more than that. Copies are signed with its secret half (--sign-key).
extra-trusted-public-keys = {key}
"""

_TRUSTED_ACCOUNT: Final = """\
# Included by nix.conf. The account is trusted with any content under any name: it is as good as
# root. A key to sign copies with is enough instead: nix-remote setup server --trusted-key NAME-1:…
extra-trusted-users = {account}
"""

_UNDECIDED: Final = """\
# What is left to decide, in nix.conf. The first gives the account less power over the server:
#   extra-trusted-public-keys = NAME-1:…   and copies are signed (nix-remote copy --sign-key)
#   trusted-users = root {account}
# Where there is a line trusted-users already, the account belongs into that one: Lix 2.95 does not
# take extra-trusted-users beside it.
"""

_CHECKS: Final = """\
if [ "$(id -u)" != 0 ]; then
  problem "this is not root" "for root: | ssh root@SERVER sh"
  begin
fi
exec 9>/run/nix-remote-setup.lock
flock -n 9 || problem "this script runs already" "wait until it has ended"
if [ -e /etc/NIXOS ]; then
  problem "this is NixOS, whose files are generated" "nix-remote setup server --system nixos"
fi
command -v nix-store >/dev/null ||
  problem "there is no Nix here" "apt-get install nix-setup-systemd"
conf=/etc/nix/nix.conf
# The installer of Determinate Nix writes nix.conf anew, and includes a file that it leaves alone.
if has_line "$conf" '!include nix.custom.conf'; then conf=/etc/nix/nix.custom.conf; fi
has_line "$conf" '!include nix-remote.conf' || check_writable "$conf"
"""

_NIX_STEPS: Final = """\
# Nix reads what nix.conf includes.
{put}
step=$conf
add_line "$conf" '!include nix-remote.conf' ''
"""

_TRUST_STEP: Final = """\
# Lix 2.95 takes no extra-trusted-users beside a line trusted-users.
step=$conf
add_to_setting "$conf" trusted-users "$account"
"""

_NIX_BEGIN: Final = "before=$changes\n"

_ALLOWED_STEP: Final = """\
# A server that says whom its daemon serves has to name the account.
step=$conf
add_to_setting "$conf" allowed-users "$account"
nix_changes=$((changes - before))
"""

_DAEMON_STEPS: Final = """\
# Last of all: the daemon reads its settings when it starts. With KillMode=process its restart ends
# no build and no copy: those are processes of their own. Without, it waits for a person.
step='nix-daemon.service'
if [ "$nix_changes" -gt 0 ] && [ -d /run/systemd/system ] &&
  systemctl -q is-active nix-daemon.service; then
  if [ "$(systemctl show --value --property KillMode nix-daemon.service)" = process ]; then
    settle 'systemctl try-restart nix-daemon.service'
    systemctl try-restart nix-daemon.service
    changed 'nix-daemon.service, which has read its settings again'
  else
    say 'Nix has new settings. Its daemon reads them when it starts. When nothing is built:'
    say '  systemctl restart nix-daemon.service'
  fi
fi
"""

_RETENTION: Final = """\
# What removes roots that nobody needs, once a day.
before=$changes
{put}
units=$((changes - before))
"""
