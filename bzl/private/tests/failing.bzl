"""Tests of calls that fail: Starlark cannot catch `fail`, but an analysis test can."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")

def failing(function):
    """A rule whose targets call a function that is expected to fail.

    Args:
      function: takes no arguments

    Returns:
      a rule, to assign to a global variable
    """
    return rule(implementation = lambda ctx: [function(), DefaultInfo()][1:])

def _fails_impl(ctx):
    env = analysistest.begin(ctx)
    for text in ctx.attr.texts:
        asserts.expect_failure(env, text)
    return analysistest.end(env)

fails_test = analysistest.make(
    _fails_impl,
    attrs = {"texts": attr.string_list(mandatory = True)},
    expect_failure = True,
)

def declare_failing_tests(name, cases):
    """Declares a test for each case, and a suite of them.

    Args:
      name: the suite's name
      cases: a list of pairs: a rule that `failing` has made, and texts of its error
    """
    for number, (kind, texts) in enumerate(cases):
        target = "%s_target_%d" % (name, number)
        kind(name = target, tags = ["manual"])
        fails_test(
            name = "%s_test_%d" % (name, number),
            target_under_test = ":" + target,
            texts = texts,
        )
    native.test_suite(
        name = name,
        tests = [":%s_test_%d" % (name, number) for number in range(len(cases))],
    )
