"""The list of packages that the Bazel rules install the copier with: versions, files and hashes.

    lock.py       the list as text (`bzl/private/python/requirements.txt`)      (no input or output)
    tools.py      the programs that know the package index and its advisories
    __main__.py   the commands

The list is made from what `pyproject.toml` asks for, by the resolver `uv`, for every Python that
is supported at once. Above each version stand the names of its files, in the order of their
hashes, so that it can be seen without a network which platforms the list serves.

    python -m tests.requirements update   makes the list anew, with the newest versions
    python -m tests.requirements check    fails if `update` would change the list, if an advisory
                                          names one of its versions, or if no advisories can be read
"""
