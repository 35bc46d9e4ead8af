"""Servers that answer as any release of Nix, Lix or Determinate Nix does.

releases.py   the protocols and the texts of each release, from the published sources
relay.py      runs on a server: programs that answer as a release and use the real ones
replay.py     installs them on a server of the lab
"""
