"""What a Python test target of Bazel starts: pytest, with what Bazel wants of a test."""

import pytest_bazel  # type: ignore[import-untyped]

if __name__ == "__main__":
    pytest_bazel.main()
