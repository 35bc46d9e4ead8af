"""The hosts in `BAZEL_NIX_REMOTE`."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:environment.bzl", "hosts")

def _hosts_impl(ctx):
    env = unittest.begin(ctx)
    for value, expected in {
        "": [],
        "  ": [],
        " eu  us ": ["eu", "us"],
        "eu": ["eu"],
        "eu us eu": ["eu", "us"],
        # A newline is no separator; the copier refuses the name.
        "eu\nus": ["eu\nus"],
    }.items():
        asserts.equals(env, expected, hosts(value))
    return unittest.end(env)

_hosts_test = unittest.make(_hosts_impl)

def environment_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _hosts_test)
