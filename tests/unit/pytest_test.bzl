"""Python tests as Bazel targets."""

load("@rules_python//python:defs.bzl", "py_test")

def pytest_test(name, srcs):
    """A test target that runs pytest on files.

    Args:
      name: the target's name
      srcs: the files; those named `test_*.py` have the tests
    """
    tests = [file for file in srcs if file.rpartition("/")[2].startswith("test_")]
    py_test(
        name = name,
        srcs = srcs + ["//tests:pytest_main.py"],
        args = ["{}/{}".format(native.package_name(), file) for file in tests],
        main = "//tests:pytest_main.py",
        deps = [
            ":shared",
            "//tests",
        ],
    )
