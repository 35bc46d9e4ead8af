"""The list of the copier's packages that the Bazel rules install: versions, files and hashes.

    lock.py       the list as text (`bzl/private/python/requirements.txt`)      (no input or output)
    tools.py      the programs that query the package index and its advisories
    __main__.py   the commands

The resolver `uv` makes the list from the dependencies in `pyproject.toml`, for all supported
Pythons at once. Above each version are the names of its files, in the order of their hashes, so
that the supported platforms can be read without a network.

    python -m tests.requirements update   makes a new list, with the newest versions
    python -m tests.requirements check    fails if `update` would change the list, if an advisory
                                          names one of its versions, or if no advisories can be read
"""
