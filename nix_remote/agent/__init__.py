"""One process that copies for all others: it holds the connection, and what is known of the server.

PROTOCOL.md says what goes over its socket and what may be relied on.
"""
