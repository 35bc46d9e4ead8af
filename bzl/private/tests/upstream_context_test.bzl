"""The stand-in for a repository_ctx that rules_nixpkgs gets."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:environment.bzl", "HOST_VARIABLE", "read_variable")
load("//bzl/private:upstream_context.bzl", "upstream_context")
load(":fake_context.bzl", "fake_context")

def _hidden_impl(ctx):
    env = unittest.begin(ctx)
    environ = {HOST_VARIABLE: "eu", "OTHER": "value"}
    for with_getenv in [True, False]:
        context = upstream_context(
            fake_context(environ = environ, with_getenv = with_getenv),
            HOST_VARIABLE,
        )
        asserts.equals(env, "", read_variable(context, HOST_VARIABLE))
        asserts.equals(env, "", read_variable(context, "UNSET"))
        asserts.equals(env, "value", read_variable(context, "OTHER"))
        asserts.equals(env, {"OTHER": "value"}, context.os.environ)
        asserts.equals(env, "linux", context.os.name)
        asserts.equals(env, "fake", context.name)
    asserts.equals(env, "eu", environ[HOST_VARIABLE])
    return unittest.end(env)

def _watched_impl(ctx):
    env = unittest.begin(ctx)
    label = Label("//:MODULE.bazel")
    for use in [
        lambda context: context.path(label),
        lambda context: context.symlink(label, "link"),
        lambda context: context.execute(["cat", label], quiet = True),
    ]:
        watched = []
        use(upstream_context(_watching_context(watched), HOST_VARIABLE))
        asserts.equals(env, [label], watched)
    watched = []
    context = upstream_context(_watching_context(watched), HOST_VARIABLE)
    context.path("BUILD")
    context.symlink("one", "two")
    context.execute(["true"])
    asserts.equals(env, [], watched)
    return unittest.end(env)

def _watching_context(watched):
    return fake_context(
        execute = lambda arguments, **kwargs: None,
        symlink = lambda target, link_name: None,
        watch = lambda path: watched.append(path.name),
    )

def _without_watch_impl(ctx):
    env = unittest.begin(ctx)
    label = Label("//:MODULE.bazel")
    context = upstream_context(fake_context(), HOST_VARIABLE)
    asserts.equals(env, label, context.path(label).name)
    return unittest.end(env)

_hidden_test = unittest.make(_hidden_impl)
_watched_test = unittest.make(_watched_impl)
_without_watch_test = unittest.make(_without_watch_impl)

def upstream_context_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _hidden_test, _watched_test, _without_watch_test)
