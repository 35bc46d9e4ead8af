"""Comparison of versions of Bazel."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:bazel_version.bzl", "is_older")

def _impl(ctx):
    env = unittest.begin(ctx)
    for version in ["4.2.3", "5.4.1", "5.9.9rc1", "0.29.1- (@non-git)"]:
        asserts.true(env, is_older(version, "6.0.0"), version)
    for version in ["", "6.0.0", "6.0.0rc1", "7.7.1", "10.0.0", "7.1.0 debian"]:
        asserts.false(env, is_older(version, "6.0.0"), version)
    return unittest.end(env)

_test = unittest.make(_impl)

def bazel_version_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _test)
