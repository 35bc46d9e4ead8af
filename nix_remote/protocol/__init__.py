"""The Nix worker and serve protocols as state machines.

Sans-IO: requests in, bytes out; bytes in, events out. Nothing in this package
opens a socket or a file, reads a clock or logs; `nix_remote.server` and
`nix_remote.local` connect it to real streams.
"""
