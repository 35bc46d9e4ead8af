"""A Nix server's store as executors see it: through a real kernel's NFS client.

`python -m tests.nfs.measure` makes the measurements of docs/nfs.md.
"""
