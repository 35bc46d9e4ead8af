"""The main program of Python test targets in Bazel: pytest with Bazel's test protocol."""

import sys
import tempfile

import pytest_bazel  # type: ignore[import-untyped]

if __name__ == "__main__":
    # The folder that Bazel offers has a path too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        pytest_bazel.main([f"--basetemp={folder}/pytest", *sys.argv[1:]])
