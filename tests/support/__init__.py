"""Helpers that several tests share: generated values, and a server that can be made to fail."""
