"""The command that starts the copies. tests/bazel runs it."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:copying.bzl", "copies_command")

def _single_impl(ctx):
    env = unittest.begin(ctx)
    command = copies_command(["copier", "/nix/store/x"], [["--host=a b"]], "statuses")
    asserts.equals(env, ["copier", "/nix/store/x", "--host=a b"], command)
    return unittest.end(env)

def _several_impl(ctx):
    env = unittest.begin(ctx)
    options = [["--host=$(a)"], ["--host=b'c", "--error-file=d e"]]
    command = copies_command(["copier"], options, "/folder/statuses")
    asserts.equals(env, ["/bin/sh", "-c"], command[:2])
    asserts.equals(env, ["/folder/statuses", "copier"], command[3:])
    started = [line for line in command[2].splitlines() if line.startswith('"$@"')]
    asserts.equals(env, [
        """"$@" '--host=$(a)' & copy_0=$!""",
        """"$@" '--host=b'\\''c' '--error-file=d e' & copy_1=$!""",
    ], started)
    return unittest.end(env)

_single_test = unittest.make(_single_impl)
_several_test = unittest.make(_several_impl)

def copying_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _single_test, _several_test)
