"""Generates the setup of other machines and of the SSH config, as text to review or as files."""
