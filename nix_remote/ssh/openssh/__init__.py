"""The transport over OpenSSH's `ssh`."""
