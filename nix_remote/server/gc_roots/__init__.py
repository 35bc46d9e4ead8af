"""Durable roots on the server: where they go, which exist, and which may be removed."""
