"""The tests of nix_remote: unit tests, and tests on the real hosts of `lab`."""
