"""The transport over paramiko."""
