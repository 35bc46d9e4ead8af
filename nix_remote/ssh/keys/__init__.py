"""Keys: algorithms, key files, certificates, the SSH agent, known_hosts."""
