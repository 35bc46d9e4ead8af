"""The files that start the copier, with folders of any name."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:launcher.bzl", "launcher_text", "program_text")

def _launcher_impl(ctx):
    env = unittest.begin(ctx)
    text = launcher_text("/py thon", "/it's/copier.py", "/src", "/$(cache)")
    first, second = text.splitlines()
    asserts.equals(env, "#!/bin/sh", first)
    asserts.equals(
        env,
        "exec '/py thon' -I -S -X pycache_prefix='/$(cache)' -c " +
        "'import sys; sys.path.insert(0, \"/src/nix_remote/agent\"); import thin_client; " +
        "sys.exit(thin_client.main())' '/it'\\''s/copier.py' \"$@\"",
        second,
    )
    return unittest.end(env)

def _program_impl(ctx):
    env = unittest.begin(ctx)
    lines = program_text("/a \"folder\"").splitlines()
    asserts.equals(env, "sys.path.insert(0, \"/a \\\"folder\\\"\")", lines[2])
    asserts.equals(env, "sys.exit(main())", lines[-1])
    return unittest.end(env)

_launcher_test = unittest.make(_launcher_impl)
_program_test = unittest.make(_program_impl)

def launcher_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _launcher_test, _program_test)
