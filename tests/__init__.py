"""Everything that proves nix_remote: unit tests, and tests on the real hosts of `lab`."""
