"""SSH: which host is meant, whether it is the right one, and a channel to a command on it.

Exceptions of SSH libraries and of the operating system never leave this package.
"""
