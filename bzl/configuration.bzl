"""The module extension that configures nix_remote in MODULE.bazel.

    nix_remote = use_extension("@nix_remote//bzl:configuration.bzl", "nix_remote")
    nix_remote.configure(transport = "openssh")

A WORKSPACE file gives the same to `nix_remote_dependencies()`.
"""

load("//bzl/private:errors.bzl", "CONFIGURED_TWICE")
load("//bzl/private:own_repositories.bzl", "declare_own_repositories")

def _repository(label):
    return str(label).partition("//")[0]

def _nix_remote_impl(module_ctx):
    # What the root module says applies to the whole build; others have no say in it.
    configurations = []
    toolchains = []
    for module in module_ctx.modules:
        if module.is_root:
            configurations += module.tags.configure
            toolchains += module.tags.toolchain
    if len(configurations) > 1:
        fail(CONFIGURED_TWICE)
    options = {}
    for tag in configurations:
        options = {
            "python": tag.python,
            "store_paths": tag.store_paths,
            "substitute": tag.substitute,
            "transport": tag.transport,
            "workspace": tag.workspace,
        }
    declare_own_repositories(
        language_rules = {
            tag.name: _repository(tag.language_rules)
            for tag in toolchains
            if tag.language_rules
        },
        toolchain_sources = {tag.name: _repository(tag.bzl) for tag in toolchains},
        **options
    )

_configure = tag_class(
    attrs = {
        "python": attr.label(
            doc = "The Python that makes the copier's virtual environment; by default" +
                  " `python3` on `PATH`. The variable `NIX_REMOTE_PYTHON` wins.",
        ),
        "store_paths": attr.string_list(
            doc = "Store paths that are copied with every package: those that the build" +
                  " uses without any package, for instance the shell that" +
                  " `--shell_executable` names.",
        ),
        "substitute": attr.bool(
            doc = "Whether the server asks its own caches for a path before it is sent.",
        ),
        "transport": attr.string(
            doc = "What makes the SSH connection: `auto`, `paramiko` or `openssh`. By" +
                  " default what `NIX_REMOTE_TRANSPORT` says, else `auto`.",
        ),
        "workspace": attr.string(
            doc = "An absolute path that names the garbage collector roots, if not the" +
                  " workspace's folder: for checkouts in ever new folders.",
        ),
    },
    doc = "How packages are copied. In the root module, at most once.",
)

_toolchain = tag_class(
    attrs = {
        "bzl": attr.label(
            doc = "Any file of the module, for instance `@rules_nixpkgs_cc//:cc.bzl`.",
            mandatory = True,
        ),
        "language_rules": attr.label(
            doc = "Any file of rules_go or rules_nodejs, for the toolchain of that name.",
        ),
        "name": attr.string(
            doc = "Which toolchain: `cc`, `go`, `java`, `nodejs`, `posix`, `python`, `rust`.",
            mandatory = True,
        ),
    },
    doc = "Where the module of a toolchain is, should nix_remote not find it: with" +
          " `multiple_version_override`, for instance. In the root module.",
)

nix_remote = module_extension(
    implementation = _nix_remote_impl,
    doc = "Configures nix_remote.",
    tag_classes = {"configure": _configure, "toolchain": _toolchain},
)
