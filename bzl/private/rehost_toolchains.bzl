"""Re-hosts the user's own rules_nixpkgs toolchains, which then use nix_remote's packages.

As `rehost.bzl` does for the package rules: copies of a module's .bzl files load
`nixpkgs_package` from nix_remote. A toolchain's module is fetched only when one of its macros is
loaded.
"""

load(":edits.bzl", "replacing")
load(":errors.bzl", "NO_NODEJS_EXTENSION")
load(":rehost.bzl", "default_nixpkgs_edit", "rehosted", "write_sources")
load(":watching.bzl", "watch")

_CORE = "rules_nixpkgs_core"
_CORE_RULES = Label("@rules_nixpkgs_core//:nixpkgs.bzl")

_LOAD_RULES = replacing(
    '"@rules_nixpkgs_core//:nixpkgs.bzl"',
    '"%s"' % Label("//bzl:nixpkgs.bzl"),
)

_NO_EXTENSION = """\
def _fail(_):
    fail({text})

nix_nodejs = module_extension(implementation = _fail)
"""

def _go_edits(language_rules):
    # With MODULE.bazel, repositories of nix_remote do not see rules_go: nix_remote does not
    # depend on the rules of every language.
    return [
        _LOAD_RULES,
        replacing(
            'load("@io_bazel_rules_go//go/private:platforms.bzl"',
            'load("%s//go/private:platforms.bzl"' % language_rules,
        ),
        replacing(
            "[str(Label(c)) for c in p.constraints if",
            '[str(Label(c.replace("@io_bazel_rules_go//", "%s//"))) for c in p.constraints if' %
            language_rules,
        ),
    ]

def _nodejs_edits(language_rules):
    return [
        replacing(
            '"@rules_nodejs//nodejs/private:toolchains_repo.bzl"',
            '"%s//nodejs/private:toolchains_repo.bzl"' % language_rules,
            optional = True,
        ),
        _LOAD_RULES,
    ]

def _plain_edits(_):
    return [_LOAD_RULES]

def _file(edits, instead = None):
    return struct(edits = edits, instead = instead)

# Toolchain -> path of each file -> its edits, and `instead`, a text that replaces a file that
# older versions lack.
_FILES = {
    "cc": {
        "cc.bzl": _file(_plain_edits),
        "foreign_cc.bzl": _file(_plain_edits),
    },
    "go": {"go.bzl": _file(_go_edits)},
    "java": {"java.bzl": _file(_plain_edits)},
    "nodejs": {
        "extensions/toolchain.bzl": _file(
            lambda _: [default_nixpkgs_edit("_DEFAULT_NIXPKGS")],
            instead = _NO_EXTENSION.format(text = repr(NO_NODEJS_EXTENSION)),
        ),
        "nodejs.bzl": _file(_nodejs_edits),
        "private/common.bzl": _file(_nodejs_edits, instead = ""),
    },
    "posix": {"posix.bzl": _file(_plain_edits)},
    "python": {"python.bzl": _file(_plain_edits)},
    "rust": {"rust.bzl": _file(_plain_edits)},
}

# Toolchain -> the module with the language's rules -> its name in WORKSPACE files.
_LANGUAGE_RULES = {
    "go": ("rules_go", "io_bazel_rules_go"),
    "nodejs": ("rules_nodejs", "rules_nodejs"),
}

TOOLCHAINS = _FILES.keys()

def _rehosted_toolchain_repository_impl(repository_ctx):
    source = repository_ctx.attr.source
    module = Label(source + "//:MODULE.bazel")
    folder = repository_ctx.path(Label(source + "//:BUILD.bazel")).dirname
    files = {}
    for path, file in _FILES[repository_ctx.attr.toolchain].items():
        package, _, name = path.rpartition("/")
        original = folder.get_child(*path.split("/"))
        watch(repository_ctx, original)
        if file.instead != None and not original.exists:
            files[path] = file.instead
        else:
            edits = file.edits(repository_ctx.attr.language_rules)
            label = Label("{}//{}:{}".format(source, package, name))
            files[path] = rehosted(repository_ctx, label, edits, module)
    write_sources(repository_ctx, files, module)

_rehosted_toolchain_repository = repository_rule(
    implementation = _rehosted_toolchain_repository_impl,
    attrs = {
        "language_rules": attr.string(doc = "Canonical name of the repository `rules_...`."),
        "source": attr.string(mandatory = True, doc = "Canonical name of `rules_nixpkgs_...`."),
        "toolchain": attr.string(mandatory = True, values = TOOLCHAINS),
    },
    doc = "A toolchain module of rules_nixpkgs that uses nix_remote's packages.",
)

def declare_toolchain_repositories(sources = {}, language_rules = {}):
    """Declares a repository for each toolchain of rules_nixpkgs, used or not.

    The canonical name of each module is derived from that of rules_nixpkgs_core, which nix_remote
    depends on: a build names all modules by the same scheme.

    Args:
      sources: toolchain -> canonical name of its module's repository, if it cannot be derived
      language_rules: toolchain -> canonical name of the language's rules, if it cannot be derived
    """
    core = str(_CORE_RULES).partition("//")[0]
    with_modules = core.strip("@") != _CORE
    for toolchain in TOOLCHAINS:
        module, repository = _LANGUAGE_RULES.get(toolchain, ("", ""))
        sibling = core.replace(_CORE, module if with_modules else repository)
        _rehosted_toolchain_repository(
            name = "nix_remote_rules_nixpkgs_" + toolchain,
            language_rules = language_rules.get(toolchain, sibling),
            source = sources.get(toolchain, core.replace(_CORE, "rules_nixpkgs_" + toolchain)),
            toolchain = toolchain,
        )
