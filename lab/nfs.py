"""A Nix server's store over NFS: nfs-ganesha exports it, a kernel host mounts it."""

from __future__ import annotations

from lab.host import Host, wait_until

PORT = 2049

# Ganesha caches attributes for a minute, and directory entries even longer. The kernel's server
# does not; with 0 for both, Ganesha answers like it. Ganesha requires `/nix/store` to be a writable
# file system of its own.
_CONFIGURATION = """\
NFS_CORE_PARAM {{
  Protocols = {protocols}; NFS_Port = {port}; MNT_Port = 20048; Enable_NLM = false;
  Enable_RQUOTA = false; Mount_Path_Pseudo = true; allow_set_io_flusher_fail = true;
}}
NFSV4 {{ Graceless = true; RecoveryBackend = fs; }}
MDCACHE {{ Dir_Chunk = 0; }}
EXPORT_DEFAULTS {{ SecType = sys; Transports = TCP; }}
EXPORT {{
  Export_Id = 1; Path = {path}; Pseudo = {path}; Protocols = {protocols};
  Access_Type = {access}; Squash = Root_Squash; {remember}
  FSAL {{ Name = VFS; }}
}}
LOG {{ Default_Log_Level = EVENT; }}
"""


def export(
    server: Host,
    *,
    path: str = "/nix/store",
    access: str = "RO",
    protocols: str = "3, 4",
    remember_seconds: int = 0,
) -> None:
    """Exports a folder of `server`; returns when clients can connect.

    `remember_seconds`: how long the server caches attributes.
    """
    text = _CONFIGURATION.format(
        path=path,
        access=access,
        protocols=protocols,
        port=PORT,
        remember=f"Attr_Expiration_Time = {remember_seconds};",
    )
    server.write("/etc/ganesha/lab.conf", text)
    server.sh(
        """
        mkdir -p /var/lib/nfs/ganesha /run/ganesha /var/log/ganesha
        [ -e /etc/mtab ] || ln -s /proc/mounts /etc/mtab
        [ -S /run/rpcbind.sock ] || rpcbind -w
        """
    )
    server.start_service(
        "ganesha",
        [
            "ganesha.nfsd",
            "-F",
            "-f",
            "/etc/ganesha/lab.conf",
            "-L",
            "/dev/stderr",
            "-N",
            "NIV_EVENT",
        ],
    )
    probe = f"exec 3<>/dev/tcp/127.0.0.1/{PORT}"
    wait_until(
        lambda: server.run(["bash", "-c", probe]).status == 0, f"the NFS server of {server.name}"
    )


def end_export(server: Host) -> None:
    """Ends the NFS server."""
    server.stop_service("ganesha")


def hide_overlay(server: Host) -> None:
    """Lets `findmnt` name another file system than an overlay.

    The root of a lab's host is an overlay, which the script of `setup server` refuses, with
    reason: the kernel's NFS server could not reach the store through it.
    """
    program = '#!/bin/sh\n/usr/bin/findmnt "$@" | sed s/overlay/ext4/\n'
    server.write("/usr/local/sbin/findmnt", program, mode="755")
