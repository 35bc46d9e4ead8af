"""Recorded conversations with real Nix daemons. README.md explains their origin."""
