"""The user's own rules_nixpkgs_core, with nix_remote's hook put in.

A repository rule's implementation cannot be wrapped from outside, and a second
repository around the first does not notice when the first changes. So the .bzl
files that define the rules are hosted again, in a repository of nix_remote, with
a few lines replaced. Every replaced text must be there exactly once, and every file
that such a file loads be known: a version that this file does not know is refused, never
half wrapped.
"""

load(":edits.bzl", "edited", "loaded_files", "module_version", "occurring", "replacing")
load(":environment.bzl", "HOST_VARIABLE", "needs_environ")
load(
    ":errors.bzl",
    "FILE_MISSING",
    "FILE_UNKNOWN",
    "NO_FLAKE_PACKAGES",
    "TEXT_UNEXPECTED",
    "UNSUPPORTED_RULES_NIXPKGS",
)
load(":files.bzl", "write_file")
load(":watching.bzl", "watch", "watched_path")

_MODULE = Label("@rules_nixpkgs_core//:MODULE.bazel")
_RULES = Label("@rules_nixpkgs_core//:nixpkgs.bzl")
_UTIL = Label("@rules_nixpkgs_core//:util.bzl")
_PACKAGE_EXTENSION = Label("@rules_nixpkgs_core//extensions:package.bzl")
_REPOSITORY_EXTENSION = Label("@rules_nixpkgs_core//extensions:repository.bzl")
_HOOK = Label(":hook.bzl")
_NIX_REPOSITORIES = Label(":nix_repositories.bzl")

# Not in every version: whether it is there is asked before it is named.
_FLAKE_EXTENSION = "rules_nixpkgs.bzl"

# The names are those with which a whole-build override puts in the hook: `whole_build.bzl`.
_WRAP = "nix_remote_wrap"
_WRAP_SOURCE = "nix_remote_wrap_source"
_LOAD_HOOK = 'load("{}", {} = "wrap", {} = "wrap_source")\n'.format(_HOOK, _WRAP, _WRAP_SOURCE)

# Every replaced text begins and ends where a line does.
_WRAPPED_RULE = """
    implementation = {wrap}({implementation}),{environ}
    configure = True,
"""

_WRAPPED_SOURCE_RULE = """
    implementation = {wrap}({implementation}),{environ}
"""
_ENVIRON = """
    environ = ["%s"],""" % HOST_VARIABLE

def _wrapped(implementation, text, wrap):
    return replacing(
        "\n    implementation = {},\n".format(implementation),
        text.format(
            environ = _ENVIRON if needs_environ() else "",
            implementation = implementation,
            wrap = wrap,
        ),
    )

_RULES_EDITS = [
    # A rule more could realise packages as well: nothing would copy them.
    occurring("repository_rule(", 4),
    _wrapped("_nixpkgs_package_impl", _WRAPPED_RULE, _WRAP),
    _wrapped("_nixpkgs_flake_package_impl", _WRAPPED_RULE, _WRAP),
    _wrapped("_nixpkgs_http_repository_impl", _WRAPPED_SOURCE_RULE, _WRAP_SOURCE),
    replacing('\n    ":util.bzl",\n', '\n    "%s",\n' % _UTIL),
]

# A rehosted extension finds the wrapped rules where it finds its own: in its repository.
def _same(text):
    return replacing(text, text)

def default_nixpkgs_edit(constant):
    """Makes an extension take the `nixpkgs` of nix_remote's `nix_repo`, if there is one.

    Args:
      constant: what the extension calls the default

    Returns:
      an edit
    """
    return replacing(
        '\n%s = "@nixpkgs"\n' % constant,
        '\nload("@nix_remote_default_nixpkgs//:default.bzl", %s = "NIXPKGS")\n' % constant,
    )

_PACKAGE_EXTENSION_EDITS = [
    _same('\nload("//:nixpkgs.bzl", "nixpkgs_package")\n'),
    default_nixpkgs_edit("_DEFAULT_NIXKGS"),
]

_LOAD_SOURCES = (
    '\nload("//:nixpkgs.bzl", "nixpkgs_http_repository", "nixpkgs_local_repository")\n'
)
_REPOSITORY_EXTENSION_EDITS = [
    replacing(
        _LOAD_SOURCES,
        _LOAD_SOURCES + 'load("%s", _nix_remote_wrap = "wrap_nix_repo")\n' % _NIX_REPOSITORIES,
    ),
    replacing(
        "\nnix_repo = module_extension(\n    _nix_repo_impl,\n",
        "\nnix_repo = module_extension(\n    _nix_remote_wrap(_nix_repo_impl),\n",
    ),
]

_FLAKE_EXTENSION_EDITS = [_same('\nload("//:nixpkgs.bzl", "nixpkgs_flake_package")\n')]

# For versions without the extension, so that the others can still be loaded.
_NO_FLAKE_EXTENSION = """\
def _fail(_):
    fail({text})

rules_nixpkgs = module_extension(
    implementation = _fail,
    tag_classes = {{
        "flake_package": tag_class(attrs = {{
            "build_file": attr.label(),
            "build_file_content": attr.string(),
            "fail_not_supported": attr.bool(),
            "name": attr.string(),
            "nix_flake_file": attr.label(),
            "nix_flake_file_deps": attr.label_list(),
            "nix_flake_lock_file": attr.label(),
            "nixopts": attr.string_list(),
            "package": attr.string(),
            "quiet": attr.bool(),
        }}),
    }},
)
"""

# A whole-build override has put the hook in already.
_FORWARDED_RULES = """\
load(
    "{rules}",
    _nixpkgs_flake_package = "nixpkgs_flake_package",
    _nixpkgs_git_repository = "nixpkgs_git_repository",
    _nixpkgs_http_repository = "nixpkgs_http_repository",
    _nixpkgs_local_repository = "nixpkgs_local_repository",
    _nixpkgs_package = "nixpkgs_package",
)

nixpkgs_flake_package = _nixpkgs_flake_package
nixpkgs_git_repository = _nixpkgs_git_repository
nixpkgs_http_repository = _nixpkgs_http_repository
nixpkgs_local_repository = _nixpkgs_local_repository
nixpkgs_package = _nixpkgs_package
"""

def rehosted(repository_ctx, file, edits, module):
    """A file of rules_nixpkgs with its edits made; fails if this version is not known.

    Args:
      repository_ctx: the repository rule's context
      file: the file's label
      edits: a list of `replacing(...)` and `occurring(...)`
      module: the label of the MODULE.bazel file with its version

    Returns:
      the new text
    """
    result = edited(_source(repository_ctx, file, module), edits)
    if result.refused:
        times = result.refused.times
        refuse(repository_ctx, module, TEXT_UNEXPECTED.format(
            anchor = _indented(result.refused.anchor),
            count = result.refused.count,
            expected = "once" if times == 1 else "%d times" % times,
            file = file,
        ))
    return result.text

def _source(repository_ctx, file, module):
    # Bazel's own message about a label whose file has moved would not help.
    words = (file.package + "/" + file.name).strip("/").split("/")
    path = repository_ctx.path(module).dirname.get_child(*words)
    watch(repository_ctx, path)
    if not path.exists:
        refuse(repository_ctx, module, FILE_MISSING.format(file = file))
    return repository_ctx.read(file)

def refuse(repository_ctx, module, what):
    """Fails because this version of rules_nixpkgs is not known.

    Args:
      repository_ctx: the repository rule's context
      module: the label of the MODULE.bazel file with its version
      what: what is not as expected
    """
    module_file = watched_path(repository_ctx, module)
    version = module_version(repository_ctx.read(module_file)) if module_file.exists else ""
    fail(UNSUPPORTED_RULES_NIXPKGS.format(version = version or "of unknown version", what = what))

def _indented(text):
    return "\n".join(["        " + line for line in text.strip("\n").splitlines()])

def write_sources(repository_ctx, files, module):
    """Writes .bzl files, and the BUILD files that make their folders packages.

    Args:
      repository_ctx: the repository rule's context
      files: path -> content
      module: the label of the MODULE.bazel file with its version
    """
    packages = {path.rpartition("/")[0]: None for path in files}
    for path, content in files.items():
        for label in loaded_files(content):
            package, _, name = label.rpartition(":")
            package = package[2:] if package.startswith("//") else path.rpartition("/")[0]
            if (package + "/" + name).strip("/") not in files:
                refuse(repository_ctx, module, FILE_UNKNOWN.format(file = path, label = label))
    for package in packages:
        build = package + "/BUILD.bazel" if package else "BUILD.bazel"
        write_file(repository_ctx, build, "")
    for path, content in files.items():
        write_file(repository_ctx, path, content)

def _rules(repository_ctx):
    if _WRAP in _source(repository_ctx, _RULES, _MODULE):
        return _FORWARDED_RULES.format(rules = _RULES)
    return _LOAD_HOOK + rehosted(repository_ctx, _RULES, _RULES_EDITS, _MODULE)

def _flake_extension(repository_ctx):
    extension = repository_ctx.path(_PACKAGE_EXTENSION).dirname.get_child(_FLAKE_EXTENSION)
    watch(repository_ctx, extension)
    if not extension.exists:
        return _NO_FLAKE_EXTENSION.format(text = repr(NO_FLAKE_PACKAGES))
    label = Label(str(_PACKAGE_EXTENSION).replace("package.bzl", _FLAKE_EXTENSION))
    return rehosted(repository_ctx, label, _FLAKE_EXTENSION_EDITS, _MODULE)

def core_files(repository_ctx):
    """The files of rules_nixpkgs_core that are re-hosted.

    Args:
      repository_ctx: the repository rule's context

    Returns:
      path -> content
    """
    return {
        "extensions/package.bzl": rehosted(
            repository_ctx,
            _PACKAGE_EXTENSION,
            _PACKAGE_EXTENSION_EDITS,
            _MODULE,
        ),
        "extensions/repository.bzl": rehosted(
            repository_ctx,
            _REPOSITORY_EXTENSION,
            _REPOSITORY_EXTENSION_EDITS,
            _MODULE,
        ),
        "extensions/rules_nixpkgs.bzl": _flake_extension(repository_ctx),
        "nixpkgs.bzl": _rules(repository_ctx),
    }

def _rehosted_core_repository_impl(repository_ctx):
    write_sources(repository_ctx, core_files(repository_ctx), _MODULE)

rehosted_core_repository = repository_rule(
    implementation = _rehosted_core_repository_impl,
    doc = "rules_nixpkgs_core's package rules and its extensions, with the hook.",
)
