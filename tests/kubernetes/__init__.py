"""The overlay of `nix-remote setup kubernetes`, rendered by the real kustomize."""
