"""The store of the Nix server: what is valid there, sending paths, keeping them."""
