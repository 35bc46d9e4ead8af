"""Stand-in for tests, not rules_nixpkgs: the rules that realise packages."""

load(
    ":util.bzl",
    "execute_or_fail",
    "find_program",
)

# Expressions

def _nixpkgs_local_repository_impl(repository_ctx):
    attr = repository_ctx.attr
    if bool(attr.nix_file) == bool(attr.nix_file_content):
        fail("stand-in: give either nix_file or nix_file_content")
    text = repository_ctx.read(attr.nix_file) if attr.nix_file else attr.nix_file_content
    repository_ctx.file("default.nix", text, executable = False)
    repository_ctx.file("nix-file-deps", "default.nix", executable = False)
    repository_ctx.file("BUILD", "exports_files([\"default.nix\"])", executable = False)

    # `@nixpkgs` is short for `@nixpkgs//:nixpkgs`.
    repository_ctx.symlink("default.nix", attr.unmangled_name)

_nixpkgs_local_repository = repository_rule(
    implementation = _nixpkgs_local_repository_impl,
    attrs = {
        "nix_file": attr.label(allow_single_file = [".nix"], doc = "A Nix file."),
        "nix_file_content": attr.string(doc = "Its text, instead."),
        "unmangled_name": attr.string(mandatory = True, doc = "The name the user gave."),
    },
    doc = "Files for `-I nixpkgs=...`.",
)

def nixpkgs_local_repository(name, nix_file = None, nix_file_content = ""):
    """Declares an expression from this workspace as a Nix repository."""
    _nixpkgs_local_repository(
        name = name,
        nix_file = nix_file,
        nix_file_content = nix_file_content,
        unmangled_name = name,
    )

def nixpkgs_http_repository(name, **_):
    """Only a name here."""
    fail("stand-in: @%s would have to be downloaded" % name)

def nixpkgs_git_repository(name, **_):
    """Only a name here."""
    fail("stand-in: @%s would have to be downloaded" % name)

# Packages

_COMMON_ATTRS = {
    "build_file_content": attr.string(doc = "The text of a BUILD file for the package."),
    "fail_not_supported": attr.bool(default = True, doc = "Whether to insist on Nix."),
    "nixopts": attr.string_list(doc = "More options for Nix."),
    "quiet": attr.bool(doc = "Whether to hide what Nix prints."),
}

def _realise(repository_ctx, command):
    # The real rules build on that host here.
    if repository_ctx.os.environ.get("BAZEL_NIX_REMOTE"):
        fail("stand-in: BAZEL_NIX_REMOTE reached rules_nixpkgs")
    printed = execute_or_fail(repository_ctx, command, quiet = repository_ctx.attr.quiet)
    store_path = printed.splitlines()[-1]
    for child in repository_ctx.path(store_path).readdir():
        repository_ctx.symlink(child, child.basename)
    if repository_ctx.path("BUILD").exists or repository_ctx.path("BUILD.bazel").exists:
        return
    if repository_ctx.attr.build_file_content:
        repository_ctx.file("BUILD", repository_ctx.attr.build_file_content)
    else:
        repository_ctx.template("BUILD", Label("@rules_nixpkgs_core//:BUILD.bazel.tpl"))

def _may_build(repository_ctx):
    if repository_ctx.which("nix-build"):
        return True
    if repository_ctx.attr.fail_not_supported:
        fail("stand-in: nix-build is not on PATH")
    return False

def _nixpkgs_package_impl(repository_ctx):
    attr = repository_ctx.attr
    nixpkgs = repository_ctx.path(attr.repository)
    if not _may_build(repository_ctx):
        return

    command = [find_program(repository_ctx, "nix-build"), "-I", "nixpkgs=%s" % nixpkgs]
    command += ["-E", "import <nixpkgs> { config = {}; overlays = []; }"]
    command += ["-A", attr.attribute_path or attr.unmangled_name]
    command += ["--out-link", "bazel-support/nix-out-link"] + attr.nixopts
    _realise(repository_ctx, command)

_nixpkgs_package = repository_rule(
    implementation = _nixpkgs_package_impl,
    attrs = _COMMON_ATTRS | {
        "attribute_path": attr.string(doc = "Which attribute of the expression."),
        "repository": attr.label(mandatory = True, doc = "The Nix repository `nixpkgs`."),
        "unmangled_name": attr.string(mandatory = True, doc = "The name the user gave."),
    },
    doc = "A package from `nix-build`.",
)

def nixpkgs_package(name, **kwargs):
    """Declares a package of a Nix repository."""
    _nixpkgs_package(name = name, unmangled_name = name, **kwargs)

def _nixpkgs_flake_package_impl(repository_ctx):
    attr = repository_ctx.attr
    flake = repository_ctx.path(attr.nix_flake_file).dirname
    repository_ctx.path(attr.nix_flake_lock_file)
    if not _may_build(repository_ctx):
        return

    command = [find_program(repository_ctx, "nix"), "build", "--print-out-paths"]
    command += ["--extra-experimental-features", "nix-command flakes"]
    command.append("path:%s" % flake + ("#" + attr.package if attr.package else ""))
    command += ["--out-link", "bazel-support/nix-out-link"] + attr.nixopts
    _realise(repository_ctx, command)

_nixpkgs_flake_package = repository_rule(
    implementation = _nixpkgs_flake_package_impl,
    attrs = _COMMON_ATTRS | {
        "nix_flake_file": attr.label(mandatory = True, doc = "flake.nix"),
        "nix_flake_lock_file": attr.label(mandatory = True, doc = "flake.lock"),
        "package": attr.string(doc = "Which package; the flake's default if empty."),
    },
    doc = "A package from `nix build`.",
)

def nixpkgs_flake_package(name, **kwargs):
    """Declares a package of a flake."""
    _nixpkgs_flake_package(name = name, **kwargs)
