"""Inserting the hook into rules_nixpkgs_core, and refusing unknown versions."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//bzl/private:edits.bzl", "replacing")
load("//bzl/private:rehost.bzl", "core_files", "rehosted", "write_sources")
load(":failing.bzl", "declare_failing_tests", "failing")
load(":fake_context.bzl", "fake_context")

_MODULE = Label("@rules_nixpkgs_core//:MODULE.bazel")
_RULES = Label("@rules_nixpkgs_core//:nixpkgs.bzl")

_MODULE_TEXT = """\
module(
    name = "rules_nixpkgs_core",
    version = "0.99.0",
)
"""

_RULES_TEXT = """\
load(
    ":util.bzl",
    "find",
)

_local = repository_rule(_local_impl)
_http = repository_rule(
    implementation = _nixpkgs_http_repository_impl,
    attrs = {},
)
_package = repository_rule(
    implementation = _nixpkgs_package_impl,
    attrs = {},
)
_flake = repository_rule(
    implementation = _nixpkgs_flake_package_impl,
    attrs = {},
)
"""

_PACKAGE_EXTENSION_TEXT = """\

load("//:nixpkgs.bzl", "nixpkgs_package")
_DEFAULT_NIXKGS = "@nixpkgs"
"""

_REPOSITORY_EXTENSION_TEXT = """\

load("//:nixpkgs.bzl", "nixpkgs_http_repository", "nixpkgs_local_repository")

nix_repo = module_extension(
    _nix_repo_impl,
)
"""

_FLAKE_EXTENSION_TEXT = """\

load("//:nixpkgs.bzl", "nixpkgs_flake_package")
"""

def _core(**changed):
    files = {
        "MODULE.bazel": _MODULE_TEXT,
        "extensions/package.bzl": _PACKAGE_EXTENSION_TEXT,
        "extensions/repository.bzl": _REPOSITORY_EXTENSION_TEXT,
        "extensions/rules_nixpkgs.bzl": _FLAKE_EXTENSION_TEXT,
        "nixpkgs.bzl": _RULES_TEXT,
    } | changed
    return fake_context(files = {path: text for path, text in files.items() if text != None})

def _hooked_impl(ctx):
    env = unittest.begin(ctx)
    files = core_files(_core())
    rules = files["nixpkgs.bzl"]
    asserts.true(env, rules.startswith("load("), rules)
    asserts.true(env, "//bzl/private:hook.bzl\", nix_remote_wrap = \"wrap\"" in rules, rules)
    for line in [
        "    implementation = nix_remote_wrap(_nixpkgs_package_impl),\n",
        "    implementation = nix_remote_wrap(_nixpkgs_flake_package_impl),\n",
        "    implementation = nix_remote_wrap_source(_nixpkgs_http_repository_impl),\n",
    ]:
        asserts.equals(env, 1, rules.count(line.rstrip("\n")), line)
    asserts.equals(env, 2, rules.count("\n    configure = True,\n"))
    asserts.false(env, "\":util.bzl\"" in rules, rules)

    # Labels of rules_nixpkgs_core itself: the file is in another repository now.
    asserts.true(env, "//:util.bzl\",\n" in rules, rules)
    extension = files["extensions/package.bzl"]
    asserts.true(env, "default.bzl\", _DEFAULT_NIXKGS = \"NIXPKGS\")" in extension, extension)
    repositories = files["extensions/repository.bzl"]
    asserts.true(env, "    _nix_remote_wrap(_nix_repo_impl),\n" in repositories, repositories)
    asserts.equals(env, _FLAKE_EXTENSION_TEXT, files["extensions/rules_nixpkgs.bzl"])
    return unittest.end(env)

def _forwarded_impl(ctx):
    env = unittest.begin(ctx)
    hooked = _RULES_TEXT.replace("_nixpkgs_package_impl", "nix_remote_wrap(_nixpkgs_package_impl)")
    rules = core_files(_core(**{"nixpkgs.bzl": hooked}))["nixpkgs.bzl"]
    asserts.false(env, "nix_remote_wrap" in rules, rules)
    asserts.true(env, "nixpkgs_package = _nixpkgs_package\n" in rules, rules)
    return unittest.end(env)

def _without_flakes_impl(ctx):
    env = unittest.begin(ctx)
    files = core_files(_core(**{"extensions/rules_nixpkgs.bzl": None}))
    extension = files["extensions/rules_nixpkgs.bzl"]
    asserts.true(env, "rules_nixpkgs = module_extension(" in extension, extension)
    asserts.true(env, "does not have it" in extension, extension)
    return unittest.end(env)

def _written_impl(ctx):
    env = unittest.begin(ctx)
    files = {}
    context = fake_context(files = files)
    sources = {
        "a.bzl": "load(\":b.bzl\", \"b\")\n",
        "b.bzl": "",
        "c/d.bzl": "load(\"//:a.bzl\", \"a\")\nload(\"@other//:e.bzl\", \"e\")\n",
    }
    write_sources(context, sources, _MODULE)
    asserts.equals(env, sources | {"BUILD.bazel": "", "c/BUILD.bazel": ""}, files)
    return unittest.end(env)

_hooked_test = unittest.make(_hooked_impl)
_forwarded_test = unittest.make(_forwarded_impl)
_without_flakes_test = unittest.make(_without_flakes_impl)
_written_test = unittest.make(_written_impl)

_another_rule = failing(lambda: core_files(
    _core(**{"nixpkgs.bzl": _RULES_TEXT + "_more = repository_rule(_more_impl)\n"}),
))
_missing_file = failing(lambda: core_files(_core(**{"extensions/package.bzl": None})))
_without_version = failing(lambda: rehosted(
    fake_context(files = {"nixpkgs.bzl": "one"}),
    _RULES,
    [replacing("two", "2")],
    _MODULE,
))
_unknown_file = failing(lambda: write_sources(
    _core(),
    {"c/d.bzl": "load(\":more.bzl\", \"more\")\n"},
    _MODULE,
))

def rehost_test_suite(name):
    """Declares the tests.

    Args:
      name: the suite's name
    """
    unittest.suite(name, _hooked_test, _forwarded_test, _without_flakes_test, _written_test)
    unsupported = "does not support this rules_nixpkgs (version 0.99.0)."
    declare_failing_tests(name + "_failing", [
        (_another_rule, [
            unsupported,
            "//:nixpkgs.bzl contains this text 5 times (expected: 4):\n" +
            "        repository_rule(\n",
        ]),
        (_missing_file, [unsupported, "//extensions:package.bzl does not exist.\n"]),
        (_without_version, ["(version unknown)", "contains this text 0 times (expected: 1):"]),
        (_unknown_file, [unsupported, "c/d.bzl loads :more.bzl, a file that nix_remote does"]),
    ])
