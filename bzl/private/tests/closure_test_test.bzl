"""`nix_remote_closure_test` without running it: the sources of closures, and its actions."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts", "unittest")
load("//bzl/private:closure_test.bzl", "closure_sources", "closure_test")

_REPOSITORIES = {
    "//:file": "",
    "@hello//:bin": "@@hello",
    "@hello//:lib": "@@hello",
    "@zlib//:bin": "@@zlib",
}
_HELLO = "@@hello//bazel-support/nix-remote:closure.txt"
_ZLIB = "@@zlib//bazel-support/nix-remote:closure.txt"

def _sources_impl(ctx):
    env = unittest.begin(ctx)
    with_host = closure_sources(_REPOSITORIES, ["eu"], ask_nix = False)
    asserts.equals(env, struct(asked = ["//:file"], lists = [_HELLO, _ZLIB]), with_host)
    for hosts, ask_nix in [([], False), ([], True), (["eu"], True)]:
        asked = closure_sources(_REPOSITORIES, hosts, ask_nix)
        asserts.equals(env, struct(asked = _REPOSITORIES.keys(), lists = []), asked)
    return unittest.end(env)

_sources_test = unittest.make(_sources_impl)

def _actions_impl(ctx):
    env = analysistest.begin(ctx)
    actions = {action.mnemonic: action for action in analysistest.target_actions(env)}
    asks = actions["NixClosure"]
    (list,) = asks.outputs.to_list()
    asserts.equals(env, ["BUILD.bazel"], [
        file.basename
        for file in asks.inputs.to_list()
        if file.is_source
    ])
    asserts.true(env, "'%s'" % list.short_path in actions["FileWrite"].content)
    return analysistest.end(env)

_actions_test = analysistest.make(_actions_impl)

def closure_test_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _sources_test)
    closure_test(
        name = name + "_target_test",
        ask_nix = True,
        packages = [":BUILD.bazel"],
        tags = ["manual"],
    )
    _actions_test(
        name = name + "_actions_test",
        target_under_test = ":%s_target_test" % name,
    )
