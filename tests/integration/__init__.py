"""The copier on real hosts: real sshd, real Nix daemons, each with its own store."""
