"""A Nix server's store as executors see it: through a real kernel's NFS client.

`tools/test nfs` runs these tests; `python -m tests.nfs.measure` the measurements of docs/nfs.md.
"""
