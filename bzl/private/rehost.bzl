"""The user's own rules_nixpkgs_core, with nix_remote's hook put in.

A repository rule's implementation cannot be wrapped from outside, and a second
repository around the first does not notice when the first changes. So the .bzl
files that define the rules are hosted again, in a repository of nix_remote, with
a few lines replaced. Every replaced text must be there exactly once: a version
that this file does not know is refused, never half wrapped.
"""

load(":environment.bzl", "HOST_VARIABLE")
load(":errors.bzl", "UNSUPPORTED_RULES_NIXPKGS")

_RULES = Label("@rules_nixpkgs_core//:nixpkgs.bzl")
_PACKAGE_EXTENSION = Label("@rules_nixpkgs_core//extensions:package.bzl")
_UTIL = Label("@rules_nixpkgs_core//:util.bzl")
_HOOK = Label(":hook.bzl")

_LOAD_HOOK = 'load("%s", _nix_remote_wrap = "wrap")\n' % _HOOK

# Every replaced text begins and ends where a line does.
_WRAPPED_RULE = """
    implementation = _nix_remote_wrap({implementation}),
    environ = ["{variable}"],
    configure = True,
"""

def _wrapped(implementation):
    return (
        "\n    implementation = {},\n".format(implementation),
        _WRAPPED_RULE.format(implementation = implementation, variable = HOST_VARIABLE),
    )

_RULES_REPLACEMENTS = [
    _wrapped("_nixpkgs_package_impl"),
    _wrapped("_nixpkgs_flake_package_impl"),
    ('\n    ":util.bzl",\n', '\n    "%s",\n' % _UTIL),
]

# Stays as it is: `//` now means the repository with the wrapped rules.
_LOAD_RULES = '\nload("//:nixpkgs.bzl", "nixpkgs_package")\n'
_PACKAGE_EXTENSION_REPLACEMENTS = [(_LOAD_RULES, _LOAD_RULES)]

def _replace(file, text, replacements):
    for anchor, replacement in replacements:
        if text.count(anchor) != 1:
            fail(UNSUPPORTED_RULES_NIXPKGS.format(
                anchor = anchor.strip("\n"),
                count = text.count(anchor),
                file = file,
            ))
        text = text.replace(anchor, replacement)
    return text

def _rehosted_core_repository_impl(repository_ctx):
    rules = _replace(_RULES, repository_ctx.read(_RULES), _RULES_REPLACEMENTS)
    extension = _replace(
        _PACKAGE_EXTENSION,
        repository_ctx.read(_PACKAGE_EXTENSION),
        _PACKAGE_EXTENSION_REPLACEMENTS,
    )
    for path, content in {
        "BUILD.bazel": "",
        "extensions/BUILD.bazel": "",
        "extensions/package.bzl": extension,
        "nixpkgs.bzl": _LOAD_HOOK + rules,
    }.items():
        repository_ctx.file(path, content, executable = False, legacy_utf8 = False)

rehosted_core_repository = repository_rule(
    implementation = _rehosted_core_repository_impl,
    doc = "rules_nixpkgs_core's package rules and its `nix_pkg` extension, with the hook.",
)
