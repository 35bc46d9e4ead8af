"""One process that copies for all others: it keeps the connection, and which roots are known.

PROTOCOL.md describes the messages on its socket and what clients can rely on.
"""
