"""Stand-in for tests, not rules_nixpkgs: the rules that realise packages."""

load(
    ":util.bzl",
    "execute_or_fail",
    "find_program",
    "with_locations",
)

# Nix repositories

def _nixpkgs_http_repository_impl(repository_ctx):
    attr = repository_ctx.attr
    repository_ctx.file("BUILD", "filegroup(name = \"srcs\", srcs = glob([\"**\"]))")
    repository_ctx.symlink("default.nix", attr.unmangled_name)
    repository_ctx.download_and_extract(
        url = attr.url or attr.urls,
        sha256 = attr.sha256,
        stripPrefix = attr.strip_prefix,
        integrity = attr.integrity,
    )

_nixpkgs_http_repository = repository_rule(
    implementation = _nixpkgs_http_repository_impl,
    attrs = {
        "integrity": attr.string(doc = "A checksum."),
        "sha256": attr.string(doc = "Another."),
        "strip_prefix": attr.string(doc = "The archive's folder."),
        "unmangled_name": attr.string(mandatory = True, doc = "The name the user gave."),
        "url": attr.string(doc = "Where it is."),
        "urls": attr.string_list(doc = "Where it is, if in several places."),
    },
    doc = "An archive with Nix files.",
)

def nixpkgs_http_repository(name, **kwargs):
    """Declares an archive as a Nix repository."""
    _nixpkgs_http_repository(name = name, unmangled_name = name, **kwargs)

def nixpkgs_git_repository(name, revision, remote, sha256 = None, **kwargs):
    """Declares a revision of a repository on a forge as a Nix repository."""
    _nixpkgs_http_repository(
        name = name,
        sha256 = sha256,
        strip_prefix = "nixpkgs-%s" % revision,
        unmangled_name = name,
        url = "{}/archive/{}.tar.gz".format(remote, revision),
        **kwargs
    )

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

# Packages

_COMMON_ATTRS = {
    "build_file": attr.label(doc = "A BUILD file for the package."),
    "build_file_content": attr.string(doc = "The text of one."),
    "fail_not_supported": attr.bool(default = True, doc = "Whether to insist on Nix."),
    "nixopts": attr.string_list(doc = "More options for Nix."),
    "quiet": attr.bool(doc = "Whether to hide what Nix prints."),
}

def _realise(repository_ctx, command):
    # The real rules build on that host here.
    if repository_ctx.os.environ.get("BAZEL_NIX_REMOTE"):
        fail("stand-in: BAZEL_NIX_REMOTE reached rules_nixpkgs")
    attr = repository_ctx.attr
    printed = execute_or_fail(repository_ctx, command, quiet = attr.quiet)
    store_path = printed.splitlines()[-1]
    for child in repository_ctx.path(store_path).readdir():
        repository_ctx.symlink(child, child.basename)
    if repository_ctx.path("BUILD").exists or repository_ctx.path("BUILD.bazel").exists:
        return
    if attr.build_file:
        repository_ctx.file("BUILD", repository_ctx.read(attr.build_file))
    elif attr.build_file_content:
        repository_ctx.file("BUILD", attr.build_file_content)
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
    repositories = attr.repositories or {attr.repository: "nixpkgs"}
    search = []
    for repository, name in repositories.items():
        path = repository_ctx.path(repository)
        search += ["-I", "{}={}".format(name, path)]
        listed = path.dirname.get_child("nix-file-deps")
        watched = repository_ctx.read(listed).splitlines() if listed.exists else []
        for file in watched:
            repository_ctx.path(repository.relative(":" + file))
    dependencies = {text: repository_ctx.path(label) for label, text in attr.nix_file_deps.items()}
    nix_file = repository_ctx.path(attr.nix_file) if attr.nix_file else None
    if attr.build_file:
        repository_ctx.path(attr.build_file)
    if not _may_build(repository_ctx):
        return

    command = [find_program(repository_ctx, "nix-build")] + search
    if nix_file:
        command.append(nix_file)
    else:
        default = "import <nixpkgs> { config = {}; overlays = []; }"
        command += ["-E", attr.nix_file_content or default]
    own_expression = attr.nix_file or attr.nix_file_content
    command += ["-A", attr.attribute_path or ("" if own_expression else attr.unmangled_name)]
    command += ["--out-link", "bazel-support/nix-out-link"]
    command += [with_locations(option, dependencies) for option in attr.nixopts]
    _realise(repository_ctx, command)

_nixpkgs_package = repository_rule(
    implementation = _nixpkgs_package_impl,
    attrs = _COMMON_ATTRS | {
        "attribute_path": attr.string(doc = "Which attribute of the expression."),
        "nix_file": attr.label(allow_single_file = [".nix"], doc = "An expression."),
        "nix_file_content": attr.string(doc = "Its text, instead."),
        "nix_file_deps": attr.label_keyed_string_dict(doc = "More files of it."),
        "repositories": attr.label_keyed_string_dict(doc = "Nix repositories and their names."),
        "repository": attr.label(doc = "The Nix repository `nixpkgs`, instead."),
        "unmangled_name": attr.string(mandatory = True, doc = "The name the user gave."),
    },
    doc = "A package from `nix-build`.",
)

def nixpkgs_package(
        name,
        repository = None,
        repositories = {},
        nix_file_deps = [],
        **kwargs):
    """Declares a package of a Nix repository."""
    by_extension = kwargs.pop("_bzlmod", False)
    kwargs.pop("exec_constraints", None)
    _nixpkgs_package(
        name = name,
        nix_file_deps = {
            file: str(file) if by_extension else file
            for file in nix_file_deps or []
        },
        repositories = {label: text for text, label in repositories.items()},
        repository = repository,
        unmangled_name = name,
        **kwargs
    )

def _nixpkgs_flake_package_impl(repository_ctx):
    attr = repository_ctx.attr
    flake = repository_ctx.path(attr.nix_flake_file).dirname
    repository_ctx.path(attr.nix_flake_lock_file)
    for file in attr.nix_flake_file_deps:
        repository_ctx.path(file)
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
        "nix_flake_file_deps": attr.label_list(doc = "More files of the flake."),
        "nix_flake_lock_file": attr.label(mandatory = True, doc = "flake.lock"),
        "package": attr.string(doc = "Which package; the flake's default if empty."),
    },
    doc = "A package from `nix build`.",
)

def nixpkgs_flake_package(name, **kwargs):
    """Declares a package of a flake."""
    _nixpkgs_flake_package(name = name, **kwargs)
