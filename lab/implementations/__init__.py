"""Servers that answer as any release of Nix, Lix or Determinate Nix does.

releases.py   which release speaks what and says what, from the published sources
relay.py      runs on a server: programs that answer as a release, in front of the real ones
replay.py     puts them on a server of the lab
"""
