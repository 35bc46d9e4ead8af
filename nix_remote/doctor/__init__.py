"""Checks everything between this machine and an executor, layer by layer.

    finding.py            the result of a check
    run.py                the list of checks, and their order
    ssh_checks.py         SSH config, keys, SSH agent, connection, host key, login
    disks.py              free space and mount options on the server            (pure)
    exports.py            the export of the store, the NFS server, the timer    (pure)
    advisories.py         vulnerabilities of Nix on the server                  (pure)
    trusted_users.py      a defect of Lix that ignores trusted users            (pure)
    store.py              Nix on the server: trust, a durable root, existing roots
    workspace.py          the configuration of Bazel                            (pure)
    workspace_files.py    reads the files that `workspace.py` checks
    on_executor.py        the mount on an executor; a script that runs by itself
    executor.py           runs that script on an executor, over SSH
    remote_execution.py   checks paths on an executor, through the Remote Execution API

A check has two parts: one collects facts, and a pure one judges them. The doctor changes nothing
except that it adds one empty file to the server's store, makes a durable root for it, and removes
that root.
"""
