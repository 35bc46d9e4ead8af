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
    """The configuration of a server."""

    public_key: str
    """The key that may log in, as in a `.pub` file."""
    account: str = "nix-remote"
    trusted_key: str = ""
    """A public key in Nix's format: the server accepts paths that it has signed. Empty: the account
    is trusted instead if `executors` are given, otherwise the decision is left to the user."""
    executors: tuple[str, ...] = ()
    """Networks that may mount the store. Empty: the server receives copies, and exports nothing."""
    fsid: str = ""
    """The identifier of the export, if the file system has no UUID."""
    threads: int = 32
    """The number of threads of the NFS server."""
    policy: retention.Policy = retention.Policy()


def bundle(plan: ServerPlan) -> Bundle:
    """All files and the script, for Debian and Ubuntu. Raises `SetupInputUnusable`."""
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
        retained = (*retention.files(plan.account, plan.policy), *nfs_server.units())
        files += [*served, *retained]
        checks.append(nfs_server.checks(plan.fsid))
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
        tuple(files), "review it, then run it as root on the server: | ssh root@SERVER sh", whole
    )


def nix_settings(plan: ServerPlan) -> str:
    """The lines for `nix.conf`."""
    if plan.trusted_key:
        return _TRUSTED_KEY.format(key=inputs.nix_public_key(plan.trusted_key))
    return _TRUSTED_ACCOUNT.format(account=inputs.account(plan.account))


_HEAD: Final = """\
# For root on the Nix server: nix-remote setup server … | ssh root@SERVER sh
# It checks everything before it changes anything. If a step fails, it undoes its changes. It can be
# run again at any time: it changes only what differs, and restarts nothing without a change.
set -eu

"""

_TRUSTED_KEY: Final = """\
# Included by nix.conf. Nix accepts paths signed by this key from every account, so the account need
# not be trusted. Copies are signed with the secret key (--sign-key).
extra-trusted-public-keys = {key}
"""

_TRUSTED_ACCOUNT: Final = """\
# Included by nix.conf. A trusted account may add any content under any name: it is as powerful as
# root. A signing key makes this unnecessary: nix-remote setup server --trusted-key NAME-1:…
extra-trusted-users = {account}
"""

_UNDECIDED: Final = """\
# To be decided, in nix.conf. The first option gives the account fewer rights on the server:
#   extra-trusted-public-keys = NAME-1:…   and copies are signed (nix-remote copy --sign-key)
#   trusted-users = root {account}
# If there is a line trusted-users already, add the account to that line: Lix 2.95 ignores
# extra-trusted-users beside it.
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
# The installer of Determinate Nix overwrites nix.conf, but not the file that it includes.
if has_line "$conf" '!include nix.custom.conf'; then conf=/etc/nix/nix.custom.conf; fi
has_line "$conf" '!include nix-remote.conf' || check_writable "$conf"
"""

_NIX_STEPS: Final = """\
# Nix reads the files that nix.conf includes.
{put}
step=$conf
add_line "$conf" '!include nix-remote.conf' ''
"""

_TRUST_STEP: Final = """\
# Lix 2.95 ignores extra-trusted-users beside a line trusted-users.
step=$conf
add_to_setting "$conf" trusted-users "$account"
"""

_NIX_BEGIN: Final = "before=$changes\n"

_ALLOWED_STEP: Final = """\
# If nix.conf limits the users of the daemon, it must allow the account.
step=$conf
add_to_setting "$conf" allowed-users "$account"
nix_changes=$((changes - before))
"""

_DAEMON_STEPS: Final = """\
# The last step: the daemon reads its settings when it starts. With KillMode=process a restart ends
# no build and no copy, which are separate processes. Otherwise the restart is left to the user.
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
# Removes unused roots once a day; starts the NFS server after the store's file system.
before=$changes
{put}
units=$((changes - before))
"""
