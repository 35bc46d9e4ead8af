"""The workspace's configuration."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:own_repositories.bzl", "copy_settings", "refused")

def _refused_impl(ctx):
    env = unittest.begin(ctx)
    for transport in ["", "auto", "openssh", "paramiko"]:
        asserts.equals(env, "", refused(transport, ["/nix/store/x-bash"], ""))
    asserts.true(env, "unknown transport \"ssh\"" in refused("ssh", [], ""))
    for settle in ["0", "1", "2.5"]:
        asserts.equals(env, "", refused("", [], settle))
    for settle in ["-1", "1s", "soon", "1.2.3", "."]:
        asserts.true(env, "\"%s\"" % settle in refused("", [], settle), settle)
    for path in ["/nix/store", "/usr/bin", "x-bash", ""]:
        text = refused("", ["/nix/store/x-bash", path], "")
        asserts.true(env, "`store_paths` contains \"%s\"" % path in text, path)
    return unittest.end(env)

def _settings_impl(ctx):
    env = unittest.begin(ctx)
    for transport, substitute, settle, arguments in [
        ("", False, "", []),
        ("openssh", False, "", ["--transport=openssh"]),
        ("", True, "", ["--substitute"]),
        ("", False, "0", ["--settle=0"]),
        ("auto", True, "2.5", ["--transport=auto", "--substitute", "--settle=2.5"]),
    ]:
        paths = ["/nix/store/x"]
        settings = json.decode(copy_settings(transport, substitute, "/ci", paths, settle))
        asserts.equals(
            env,
            {"arguments": arguments, "store_paths": ["/nix/store/x"], "workspace": "/ci"},
            settings,
        )
    return unittest.end(env)

_refused_test = unittest.make(_refused_impl)
_settings_test = unittest.make(_settings_impl)

def own_repositories_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _refused_test, _settings_test)
