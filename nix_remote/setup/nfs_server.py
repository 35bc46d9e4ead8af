"""The NFS server of a Nix server on Debian or Ubuntu: the export of the store, as files and steps.

Belongs here: what the kernel's NFS server needs. Not: the options and their reasons (`nfs.py`).
Pure: values in, text out.
"""

from __future__ import annotations

from typing import Final, Sequence

from nix_remote.setup import change, inputs, nfs, retention
from nix_remote.setup.bundle import File

EXPORTS_PATH: Final = "/etc/exports.d/nix-remote.exports"
NFSD_PATH: Final = "/etc/nfs.conf.d/nix-remote.conf"
ORDER_PATH: Final = "/etc/systemd/system/nfs-server.service.d/nix-remote.conf"

LEASE: Final = 15
"""Seconds: lease and grace time, for which the server waits for executors that may be dead."""


def networks(executors: Sequence[str]) -> tuple[str, ...]:
    """The networks of the executors, checked. Raises `SetupInputUnusable`."""
    return tuple(inputs.network(each) for each in executors)


def files(executors: Sequence[str], fsid: str, threads: int) -> tuple[File, ...]:
    """The export and the settings of the NFS server. Raises `SetupInputUnusable`."""
    return (
        File(EXPORTS_PATH, exports(executors, fsid)),
        File(
            NFSD_PATH, _NFSD.format(threads=inputs.at_least(1, threads, "--threads"), lease=LEASE)
        ),
    )


def units() -> tuple[File, ...]:
    """The order of the units at boot: the file system of the store, then the NFS server."""
    return (File(ORDER_PATH, _ORDER.format(store=nfs.STORE, sentinel=nfs.SENTINEL)),)


def exports(executors: Sequence[str], fsid: str) -> str:
    """The line for `/etc/exports`, with the reasons."""
    checked = inputs.file_system_id(fsid) if fsid else ""
    options = nfs.export_options(checked)
    clients = " ".join(f"{network}({options})" for network in networks(executors))
    return f"{_EXPORTS_HEAD}\n{nfs.export_reasons(checked)}\n{nfs.STORE} {clients}\n"


def checks(fsid: str) -> str:
    """Shell commands for root that find reasons not to begin."""
    return _EXPORT_CHECKS.format(sentinel=nfs.SENTINEL, store=nfs.STORE, fsid=fsid)


def preparations() -> str:
    """Shell commands that install the NFS server and initialise the store."""
    return _PREPARATIONS.format(sentinel=nfs.SENTINEL)


def put(served: Sequence[File]) -> str:
    """Shell commands that write the files, and count what they change."""
    return _SERVED.format(put=change.put(served))


def steps(executors: Sequence[str], threads: int) -> str:
    """Shell commands that open the firewall, export the store and enable the units."""
    return _EXPORT_STEPS.format(
        firewall=" ".join(networks(executors)),
        threads=threads,
        port=nfs.PORT,
        unit=retention.UNIT,
        lease=LEASE,
    )


_EXPORTS_HEAD: Final = """\
# Exports the store to the executors, and nothing else. See exports(5) for the options."""

_NFSD: Final = """\
# Threads that serve executors. Actions that start at the same time send many small requests: with
# the default of 8 or 16 threads, some wait although the disk is idle.
[nfsd]
threads={threads}
# Seconds; the default is 90. After a restart of the server, executors wait until all of them have
# come back, or for this time. A deletion waits for an executor that is dead and holds delegations
# until its lease ends. The server reads both values when it starts.
lease-time={lease}
grace-time={lease}
"""

_ORDER: Final = """\
# The NFS server starts after the file system of the store is mounted, and not at all if that is no
# store: executors wait for a server that is down, but actions fail if the store is empty.
[Unit]
RequiresMountsFor={store}
AssertPathIsDirectory={sentinel}
"""

_EXPORT_CHECKS: Final = """\
if [ -e {sentinel} ] && [ ! -d {sentinel} ]; then
  problem "{sentinel} is no folder: /nix/store is no Nix store" "see what is there"
fi
# What the kernel can export. It identifies a file system by its UUID, or by fsid.
fsid='{fsid}'
kind_of() {{ findmnt -n -o FSTYPE -T "$1" | tail -n 1; }}
exportable() {{
  [ "$(kind_of "$1")" != overlay ] || findmnt -n -o OPTIONS -T "$1" | grep -q 'nfs_export=on'
}}
if [ -e {store} ] && ! exportable {store}; then
  problem "{store} is on an overlay, which cannot be exported" \
    "mount it with index=on,nfs_export=on and use --fsid 1, or mount another file system there"
elif [ -e {store} ]; then
  # NFS 4 leads clients from / to the store: it exports the folders above, without their content.
  for above in / /nix; do
    exportable "$above" ||
      problem "$above is on an overlay: NFS 4 cannot reach {store} through it" \
        "mount the overlay with index=on,nfs_export=on"
  done
  kind=$(kind_of {store})
  case $kind in
    overlay | tmpfs | zfs)
      [ -n "$fsid" ] || problem "{store} is on $kind, which can only be exported with an fsid" \
        "add --fsid 1 to nix-remote setup server"
      ;;
  esac
fi
"""

_PREPARATIONS: Final = """
# These steps are not undone if a later step fails: they install the NFS server's package, and let
# Nix initialise the store. Executors recognise a store by its folder {sentinel}.
step='installing the NFS server'
command -v exportfs >/dev/null || {{
  apt-get -q update </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install nfs-kernel-server </dev/null
  changed 'the package nfs-kernel-server'
}}
step='opening the store'
[ -d {sentinel} ] || {{
  nix-store --init
  changed 'the store, opened for the first time'
}}
"""

_SERVED: Final = """\
# The kernel's NFS server, and the export.
before=$changes
{put}
served=$((changes - before))
"""

_EXPORT_STEPS: Final = """\
enable() {{
  step="enabling $1"
  if systemctl -q is-enabled "$1"; then return 0; fi
  undo "systemctl -q disable '$1'"
  systemctl -q enable "$1"
  changed "$1 is enabled"
}}
start() {{
  step="starting $1"
  if systemctl -q is-active "$1"; then return 0; fi
  undo "systemctl stop '$1'"
  systemctl start "$1"
  changed "$1 is started"
}}
if command -v systemctl >/dev/null; then
  enable nfs-server.service
  enable {unit}.timer
fi
if [ -d /run/systemd/system ]; then
  # If ufw is active, lets only executors through. NFS 4 needs no other port.
  step='the firewall'
  if command -v ufw >/dev/null && ufw status | grep -q '^Status: active'; then
    for network in {firewall}; do
      rule="allow proto tcp from $network to any port {port}"
      case $(ufw $rule) in
        Skipping*) ;;
        *)
          undo "ufw delete $rule"
          changed "ufw $rule"
          ;;
      esac
    done
  fi
  step='{unit}.timer'
  if [ "$units" -gt 0 ]; then
    settle 'systemctl daemon-reload'
    systemctl daemon-reload
  fi
  start {unit}.timer
  # A running server is not restarted: every executor would wait for the grace period of NFS. But if
  # it exports nothing yet, no executor waits. It was then started by its package, say.
  if [ ! -s /var/lib/nfs/etab ] && systemctl -q is-active nfs-server.service; then
    step='restarting the NFS server, which exports nothing yet'
    settle 'systemctl restart nfs-server.service'
    systemctl restart nfs-server.service
    changed 'the NFS server has read its settings, and exports the store'
  elif systemctl -q is-active nfs-server.service; then
    step='the threads of the NFS server'
    running=$(cat /proc/fs/nfsd/threads)
    if [ "$running" != {threads} ]; then
      undo "rpc.nfsd $running"
      rpc.nfsd {threads}
      changed 'the NFS server has {threads} threads'
    fi
    # "requires fsid=": the file system has no UUID; run setup again with --fsid 1.
    step='exporting the store'
    if [ "$served" -gt 0 ]; then
      settle 'exportfs -ra'
      exportfs -ra
    fi
    lease=$(cat /proc/fs/nfsd/nfsv4leasetime)
    if [ "$lease" != {lease} ]; then
      say "the NFS server runs with a lease of $lease s: it uses {lease} s when it starts again."
      say '  If executors may wait now: systemctl restart nfs-server.service'
    fi
  else
    start nfs-server.service
  fi
else
  say "there is no systemd here: start the NFS server (port {port}), and run" \
    "nix-remote-collect once a day, by other means"
fi
"""
