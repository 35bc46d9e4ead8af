"""Copies closures to the server: the request, the engine, retries."""
