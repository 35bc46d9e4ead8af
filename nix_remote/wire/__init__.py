"""Encoding of the Nix protocols: numbers, strings, lists, frames, and store values.

Sans-IO: nothing in this package opens a socket or a file, reads a clock or logs.
"""
