"""Sets up what nix_remote needs elsewhere: texts to be looked at, and files if that is wanted."""
