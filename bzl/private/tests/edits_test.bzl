"""Replacements of expected texts, and refusals."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:edits.bzl", "edited", "loaded_files", "module_version", "occurring", "replacing")

def _replaces_impl(ctx):
    env = unittest.begin(ctx)
    result = edited("one two three", [replacing("two", "2"), replacing("three", "3")])
    asserts.equals(env, "one 2 3", result.text)
    asserts.equals(env, None, result.refused)
    return unittest.end(env)

def _refuses_impl(ctx):
    env = unittest.begin(ctx)
    for text, count in [("one", 0), ("two two", 2)]:
        result = edited(text, [replacing("two", "2")])
        asserts.equals(env, None, result.text)
        asserts.equals(env, struct(anchor = "two", count = count, times = 1), result.refused)
    return unittest.end(env)

def _optional_impl(ctx):
    env = unittest.begin(ctx)
    optional = [replacing("two", "2", optional = True)]
    asserts.equals(env, "one", edited("one", optional).text)
    asserts.equals(env, "2", edited("two", optional).text)
    asserts.equals(env, 2, edited("two two", optional).refused.count)
    return unittest.end(env)

def _occurring_impl(ctx):
    env = unittest.begin(ctx)
    edits = [occurring("two", 2), replacing("one", "1")]
    asserts.equals(env, "two two 1", edited("two two one", edits).text)
    refused = edited("two two two one", edits).refused
    asserts.equals(env, struct(anchor = "two", count = 3, times = 2), refused)
    return unittest.end(env)

_LOADING = """\
load("@other//:far.bzl", "far")
load(":near.bzl", "near")
load(
    "//private:common.bzl",
    "common",
)

def generate():
    return "load(\\"//:made.bzl\\", \\"made\\")"
"""

def _loads_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, [":near.bzl", "//private:common.bzl"], loaded_files(_LOADING))
    asserts.equals(env, [], loaded_files(""))
    return unittest.end(env)

def _version_impl(ctx):
    env = unittest.begin(ctx)
    text = "module(\n    name = \"core\",\n    version = \"0.13.0\",\n)\n"
    asserts.equals(env, "0.13.0", module_version(text))
    other = "module(name = \"core\")\nbazel_dep(\n    version = \"1\",\n)\n"
    asserts.equals(env, "1", module_version(other))
    asserts.equals(env, "", module_version("module(\n    name = \"core\",\n)\n"))
    return unittest.end(env)

_replaces_test = unittest.make(_replaces_impl)
_refuses_test = unittest.make(_refuses_impl)
_optional_test = unittest.make(_optional_impl)
_occurring_test = unittest.make(_occurring_impl)
_loads_test = unittest.make(_loads_impl)
_version_test = unittest.make(_version_impl)

def edits_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(
        name,
        _replaces_test,
        _refuses_test,
        _optional_test,
        _occurring_test,
        _loads_test,
        _version_test,
    )
