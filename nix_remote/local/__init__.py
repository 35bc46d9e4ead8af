"""The Nix store of this machine: what is in a closure, and its NARs. Only ever read."""
