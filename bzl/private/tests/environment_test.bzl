"""The variable with the hosts, and a context in which it is not set."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:environment.bzl", "HOST_VARIABLE", "hosts", "read_variable", "without_variable")
load(":fake_context.bzl", "fake_context")

def _hosts_impl(ctx):
    env = unittest.begin(ctx)
    for value, expected in {
        "": [],
        "  ": [],
        " eu  us ": ["eu", "us"],
        "eu": ["eu"],
        "eu us eu": ["eu", "us"],
        # Not a separator: the copier refuses it.
        "eu\nus": ["eu\nus"],
    }.items():
        asserts.equals(env, expected, hosts(value))
    return unittest.end(env)

def _hidden_impl(ctx):
    env = unittest.begin(ctx)
    environ = {HOST_VARIABLE: "eu", "OTHER": "value"}
    for with_getenv in [True, False]:
        hidden = without_variable(
            fake_context(environ = environ, with_getenv = with_getenv),
            HOST_VARIABLE,
        )
        asserts.equals(env, "", read_variable(hidden, HOST_VARIABLE))
        asserts.equals(env, "", read_variable(hidden, "UNSET"))
        asserts.equals(env, "value", read_variable(hidden, "OTHER"))
        asserts.equals(env, {"OTHER": "value"}, hidden.os.environ)
        asserts.equals(env, "linux", hidden.os.name)
        asserts.equals(env, "fake", hidden.name)
    asserts.equals(env, "eu", environ[HOST_VARIABLE])
    return unittest.end(env)

_hosts_test = unittest.make(_hosts_impl)
_hidden_test = unittest.make(_hidden_impl)

def environment_test_suite(name):
    """All of them.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _hosts_test, _hidden_test)
