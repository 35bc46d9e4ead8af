"""Commands of repository rules."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:execute.bzl", "execute_checked")
load(":failing.bzl", "declare_failing_tests", "failing")
load(":fake_context.bzl", "fake_context")

def _context(calls, return_code = 0):
    def execute(command, quiet, timeout):
        calls.append((command, quiet, timeout))
        return struct(return_code = return_code, stderr = "words", stdout = "answer")

    return fake_context(
        execute = execute,
        report_progress = lambda what: calls.append(what),
    )

def _run(context):
    return execute_checked(
        context,
        "asking",
        ["ask", "it"],
        lambda done: "it failed with %d: %s" % (done.return_code, done.stderr),
        timeout = 5,
    )

def _succeeds_impl(ctx):
    env = unittest.begin(ctx)
    calls = []
    asserts.equals(env, "answer", _run(_context(calls)))
    asserts.equals(env, ["asking", (["ask", "it"], True, 5)], calls)
    return unittest.end(env)

_succeeds_test = unittest.make(_succeeds_impl)
_failing = failing(lambda: _run(_context([], return_code = 3)))

def execute_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _succeeds_test)
    declare_failing_tests(name + "_failing", [(_failing, ["it failed with 3: words"])])
