"""Recorded conversations with real Nix daemons. README.md says how they came to be."""
