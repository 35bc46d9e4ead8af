"""Remote builds on Buildbarn's own programs, with what `nix-remote setup kubernetes` generates."""
