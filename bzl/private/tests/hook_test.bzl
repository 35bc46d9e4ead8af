"""The hook, as far as it starts no process."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:hook.bzl", "wrap", "wrap_source")
load(":fake_context.bzl", "fake_context")

def _unset_impl(ctx):
    env = unittest.begin(ctx)
    context = fake_context()
    result = wrap(lambda given: "same" if given == context else "other")(context)
    asserts.equals(env, "same", result)
    return unittest.end(env)

def _dropped_impl(ctx):
    env = unittest.begin(ctx)
    settings = json.encode({"arguments": [], "store_paths": [], "workspace": ""})
    context = fake_context(
        environ = {"BAZEL_NIX_REMOTE": "nix-server"},
        files = {"copier": "", "settings.json": settings},
    )

    # It realises nothing, so nothing is copied.
    realised = []
    result = wrap(lambda given: [realised.append(given), "reproducible"])(context)
    asserts.equals(env, 1, len(realised))
    asserts.equals(env, None, result)
    return unittest.end(env)

def _source(url):
    return {"integrity": "", "sha256": "", "strip_prefix": "", "url": url, "urls": []}

def _download(url, files, host = "nix-server"):
    """The files of a Nix repository after a download that adds to `files`."""
    environ = {"BAZEL_NIX_REMOTE": host}
    context = fake_context(environ = environ, files = files, attr = _source(url))
    result = wrap_source(lambda given: "result of rules_nixpkgs")(context)
    return struct(files = files, result = result)

def _source_impl(ctx):
    env = unittest.begin(ctx)
    one = _download("one", {})
    asserts.equals(env, None, one.result)
    asserts.equals(env, "nix-remote-source", one.files["nix-file-deps"])
    other = _download("other", {})
    asserts.true(env, one.files["nix-remote-source"] != other.files["nix-remote-source"])
    listed = _download("one", {"nix-file-deps": "default.nix\n"})
    asserts.equals(env, "default.nix\nnix-remote-source", listed.files["nix-file-deps"])
    without_host = _download("one", {"default.nix": ""}, host = "")
    asserts.equals(env, "result of rules_nixpkgs", without_host.result)
    asserts.equals(env, ["default.nix"], without_host.files.keys())
    return unittest.end(env)

_dropped_test = unittest.make(_dropped_impl)
_unset_test = unittest.make(_unset_impl)
_source_test = unittest.make(_source_impl)

def hook_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _unset_test, _dropped_test, _source_test)
