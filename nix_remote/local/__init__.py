"""The local Nix store: closures, path infos and NARs. It is never changed."""
