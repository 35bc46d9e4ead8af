"""Re-hosts the user's own rules_nixpkgs_core, with nix_remote's hook inserted.

The implementation of a repository rule cannot be wrapped from outside, and a second repository
around the first does not notice when the first changes. So a repository of nix_remote contains
copies of the .bzl files that define the rules, with a few lines replaced. Each replaced text must
occur exactly once, and each file that the copies load must be known: an unknown version is
refused, never wrapped in part.
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

# Not in every version.
_FLAKE_EXTENSION = "rules_nixpkgs.bzl"

# A whole-build override uses the same names; see `whole_build.sh`.
_WRAP = "nix_remote_wrap"
_WRAP_SOURCE = "nix_remote_wrap_source"
_LOAD_HOOK = 'load("{}", {} = "wrap", {} = "wrap_source")\n'.format(_HOOK, _WRAP, _WRAP_SOURCE)

# Every replaced text consists of whole lines.
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
    # Packages of a further rule would not be copied.
    occurring("repository_rule(", 4),
    _wrapped("_nixpkgs_package_impl", _WRAPPED_RULE, _WRAP),
    _wrapped("_nixpkgs_flake_package_impl", _WRAPPED_RULE, _WRAP),
    _wrapped("_nixpkgs_http_repository_impl", _WRAPPED_SOURCE_RULE, _WRAP_SOURCE),
    replacing('\n    ":util.bzl",\n', '\n    "%s",\n' % _UTIL),
]

# A re-hosted extension loads the wrapped rules by the label of its own: its repository has them.
def _same(text):
    return replacing(text, text)

def default_nixpkgs_edit(constant):
    """Makes an extension default to the `nixpkgs` of nix_remote's `nix_repo`, if declared.

    Args:
      constant: the name of the default in the extension

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

# For versions without the extension: the other extensions can still be loaded.
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

# A whole-build override has inserted the hook already.
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
    """Edits a file of rules_nixpkgs; fails if the version is unknown.

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
        refuse(repository_ctx, module, TEXT_UNEXPECTED.format(
            anchor = _indented(result.refused.anchor),
            count = result.refused.count,
            expected = result.refused.times,
            file = file,
        ))
    return result.text

def _source(repository_ctx, file, module):
    # Bazel's own message about a missing file does not name the cause.
    words = (file.package + "/" + file.name).strip("/").split("/")
    path = repository_ctx.path(module).dirname.get_child(*words)
    watch(repository_ctx, path)
    if not path.exists:
        refuse(repository_ctx, module, FILE_MISSING.format(file = file))
    return repository_ctx.read(file)

def refuse(repository_ctx, module, what):
    """Fails because this version of rules_nixpkgs is unknown.

    Args:
      repository_ctx: the repository rule's context
      module: the label of the MODULE.bazel file with its version
      what: the unexpected finding
    """
    module_file = watched_path(repository_ctx, module)
    version = module_version(repository_ctx.read(module_file)) if module_file.exists else ""
    fail(UNSUPPORTED_RULES_NIXPKGS.format(version = version or "unknown", what = what))

def _indented(text):
    return "\n".join(["        " + line for line in text.strip("\n").splitlines()])

def write_sources(repository_ctx, files, module):
    """Writes .bzl files, and BUILD files that make their folders packages.

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
