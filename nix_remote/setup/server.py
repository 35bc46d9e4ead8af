"""A Nix server on Debian or Ubuntu: account, Nix's settings, export of the store, retention.

Pure: a plan in, files and a script for root out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nix_remote.setup import account, inputs, nfs, retention
from nix_remote.setup.bundle import Bundle, File, put

NIX_SETTINGS_PATH: Final = "/etc/nix/nix-remote.conf"
EXPORTS_PATH: Final = "/etc/exports.d/nix-remote.exports"
NFSD_PATH: Final = "/etc/nfs.conf.d/nix-remote.conf"


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
    steps = [account.steps(plan.account, plan.public_key)]
    if plan.trusted_key or plan.executors:
        files.append(File(NIX_SETTINGS_PATH, nix_settings(plan)))
        steps.append(_NIX_STEPS)
    else:
        steps.append(_UNDECIDED.format(account=plan.account))
    if plan.executors:
        files += [
            File(EXPORTS_PATH, exports(plan)),
            File(NFSD_PATH, _NFSD.format(threads=inputs.at_least(1, plan.threads, "--threads"))),
            *retention.files(plan.account, plan.policy),
        ]
        firewall = "".join(
            f"    ufw allow proto tcp from {network} to any port {nfs.PORT}\n"
            for network in networks(plan)
        )
        steps.append(
            _EXPORT_STEPS.format(
                firewall=firewall, port=nfs.PORT, unit=retention.UNIT, sentinel=nfs.SENTINEL
            )
        )
    script = "\n".join((_HEAD, put(files), *steps))
    return Bundle(
        tuple(files), "look at it, then, for root on the server: | ssh root@SERVER sh", script
    )


def networks(plan: ServerPlan) -> tuple[str, ...]:
    """The networks of the executors, checked."""
    return tuple(inputs.network(each) for each in plan.executors)


def nix_settings(plan: ServerPlan) -> str:
    """The lines for `nix.conf`."""
    if plan.trusted_key:
        return _TRUSTED_KEY.format(key=inputs.nix_public_key(plan.trusted_key))
    return _TRUSTED_ACCOUNT.format(account=inputs.account(plan.account))


def exports(plan: ServerPlan) -> str:
    """The line for `/etc/exports`, with the reasons."""
    fsid = inputs.file_system_id(plan.fsid) if plan.fsid else ""
    options = nfs.export_options(fsid)
    clients = " ".join(f"{network}({options})" for network in networks(plan))
    more = f"\n{_FSID_REASON}" if fsid else ""
    return f"{_EXPORTS_HEAD}\n{nfs.EXPORT_REASONS}{more}\n{nfs.STORE} {clients}\n"


_HEAD: Final = """\
# For root on the Nix server: nix-remote setup server … | ssh root@SERVER sh
# It can be run again: what is there is replaced, or left if it is right.
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
#   extra-trusted-users = {account}
"""

_NIX_STEPS: Final = """\
# Nix reads what nix.conf includes; its daemon reads it when it starts.
line='!include nix-remote.conf'
touch /etc/nix/nix.conf
grep -qxF "$line" /etc/nix/nix.conf || echo "$line" >>/etc/nix/nix.conf
if [ -d /run/systemd/system ]; then systemctl try-restart nix-daemon.service; fi
"""

_EXPORTS_HEAD: Final = """\
# The store, and nothing else of this machine, for the executors. exports(5) has the options."""

_FSID_REASON: Final = """\
# fsid              the name of the export, since its file system has no UUID to go by"""

_NFSD: Final = """\
# Threads that answer executors. Starting many actions at once is many small questions at once:
# with the usual 8 or 16, some wait although the disk does not.
[nfsd]
threads={threads}
"""

_EXPORT_STEPS: Final = """\
# A store that Nix has never opened lacks the folder {sentinel}, by which executors know it.
[ -d {sentinel} ] || nix-store --init

# The kernel's NFS server, the export, and the timer that removes what nobody needs.
command -v exportfs >/dev/null || {{
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-kernel-server
}}
if command -v systemctl >/dev/null; then systemctl enable nfs-server.service {unit}.timer; fi
if [ -d /run/systemd/system ]; then
  # Only executors get through the firewall, where it is ufw's. NFS 4 needs no other port.
  if command -v ufw >/dev/null && ufw status | grep -q '^Status: active'; then
{firewall}  fi
  systemctl daemon-reload
  # Restarted, not started: it may be running with another number of threads.
  systemctl restart nfs-server.service {unit}.timer
  # "requires fsid=": the file system has no UUID; run setup again with --fsid 1.
  exportfs -ra
else
  echo "there is no systemd here: start the NFS server (port {port}), and run" \\
    "nix-remote-collect once a day, by other means" >&2
fi
"""
