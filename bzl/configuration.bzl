"""The module extension that configures nix_remote in MODULE.bazel.

    nix_remote = use_extension("@nix_remote//bzl:configuration.bzl", "nix_remote")
    nix_remote.configure(transport = "openssh")

In a WORKSPACE file, `nix_remote_dependencies()` takes the same arguments.
"""

load("//bzl/private:errors.bzl", "CONFIGURED_TWICE")
load("//bzl/private:own_repositories.bzl", "declare_own_repositories")

def _repository(label):
    return str(label).partition("//")[0]

def _nix_remote_impl(module_ctx):
    # Only the root module configures the build.
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
            "settle": tag.settle,
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
            doc = "The Python that creates the copier's virtual environment (default:" +
                  " `python3` on `PATH`). `NIX_REMOTE_PYTHON` overrides it.",
        ),
        "settle": attr.string(
            doc = "Seconds after which executors see a path that has become valid: the" +
                  " `acdirmax` of their mounts. A copy ends no earlier. `0` if no executor" +
                  " mounts the store (default: the value of `NIX_REMOTE_SETTLE`, else `1`).",
        ),
        "store_paths": attr.string_list(
            doc = "Store paths to copy with every package: those that the build uses" +
                  " without a package, such as the shell that `--shell_executable` names.",
        ),
        "substitute": attr.bool(
            doc = "Whether the server tries its own substituters before a path is sent.",
        ),
        "transport": attr.string(
            doc = "The SSH transport: `auto`, `paramiko` or `openssh` (default: the value" +
                  " of `NIX_REMOTE_TRANSPORT`, else `auto`).",
        ),
        "workspace": attr.string(
            doc = "An absolute path that the durable roots are named after (default: the" +
                  " workspace's folder). Set it if every checkout has a new folder.",
        ),
    },
    doc = "Sets how packages are copied. In the root module, at most once.",
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
            doc = "The toolchain: `cc`, `go`, `java`, `nodejs`, `posix`, `python`, `rust`.",
            mandatory = True,
        ),
    },
    doc = "Names the module of a toolchain if nix_remote does not find it, for" +
          " instance with `multiple_version_override`. In the root module.",
)

nix_remote = module_extension(
    implementation = _nix_remote_impl,
    doc = "Configures nix_remote.",
    tag_classes = {"configure": _configure, "toolchain": _toolchain},
)
