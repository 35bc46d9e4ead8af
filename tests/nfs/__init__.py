"""A Nix server's store through a real kernel's NFS client, as executors see it.

`python -m tests.nfs.measure` makes the measurements of docs/nfs.md.
"""
