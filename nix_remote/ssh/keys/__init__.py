"""Keys: algorithms, key files, certificates, the SSH agent, and the check of host keys."""
