"""The repository of the copier's Python, with fake processes."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:python.bzl", "indented", "python_repository_impl")
load(":failing.bzl", "declare_failing_tests", "failing")
load(":fake_context.bzl", "fake_context")

def _unset_impl(ctx):
    env = unittest.begin(ctx)
    for value in ["", " "]:
        files = {}

        # No `execute` and no `which`: nothing is started.
        python_repository_impl(fake_context(environ = {"BAZEL_NIX_REMOTE": value}, files = files))
        asserts.equals(env, ["BUILD.bazel"], files.keys())
        asserts.true(env, "allow_empty = True" in files["BUILD.bazel"])
    return unittest.end(env)

def _indented_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, "       | one\n       |   two", indented("\none\n  two\n\n"))
    asserts.equals(env, "", indented("\n"))
    return unittest.end(env)

_unset_test = unittest.make(_unset_impl)
_indented_test = unittest.make(_indented_impl)

def _make(environ, status = 0, answer = "", python3 = None):
    done = struct(return_code = status, stderr = answer, stdout = "")
    file = struct(dirname = struct(dirname = "/src"))
    python_repository_impl(struct(
        attr = struct(base = None, requirements = "requirements.txt", settings = "{}"),
        execute = lambda command, **_: done,
        file = lambda path, content, **_: None,
        getenv = lambda name, default: (environ | {"BAZEL_NIX_REMOTE": "eu"}).get(name, default),
        path = lambda path: file,
        read = lambda path: "",
        report_progress = lambda text: None,
        which = lambda program: python3,
    ))

_relative = failing(lambda: _make({"NIX_REMOTE_PYTHON": "python3"}))
_old = failing(lambda: _make({"NIX_REMOTE_PYTHON": "/old"}, status = 1, answer = "Python 3.8"))
_absent = failing(lambda: _make({}))
_old_on_path = failing(lambda: _make({}, status = 1, answer = "Python 3.8", python3 = "/py"))

def python_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _unset_test, _indented_test)
    declare_failing_tests(name + "_failing", [
        (_relative, ["cannot use NIX_REMOTE_PYTHON=python3", "must be an absolute path"]),
        (_old, ["cannot use the Python /old", "       | Python 3.8\n"]),
        (_absent, ["found no python3 on PATH"]),
        (_old_on_path, ["cannot use the Python /py"]),
    ])
