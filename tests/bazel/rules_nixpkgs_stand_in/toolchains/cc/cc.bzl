"""Stand-in for tests, not rules_nixpkgs: a C and C++ toolchain that works."""

load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_package")
load("@rules_nixpkgs_core//:util.bzl", "toolchain_repository")

_CONFIGURATION = """\
load("@rules_cc//cc:defs.bzl", "cc_toolchain")
load(":cc_toolchain_config.bzl", "cc_toolchain_config")

package(default_visibility = ["//visibility:public"])

filegroup(name = "empty")

cc_toolchain_config(
    name = "config",
    abi_libc_version = "local",
    abi_version = "local",
    compiler = "gcc",
    cpu = "k8",
    cxx_builtin_include_directories = {include_folders},
    cxx_flags = ["-std=c++17"],
    host_system_name = "local",
    link_flags = ["-B{bintools}"],
    link_libs = ["-lstdc++", "-lm"],
    target_libc = "local",
    target_system_name = "local",
    tool_paths = {tools},
    toolchain_identifier = "stand-in",
    unfiltered_compile_flags = [
        "-fno-canonical-system-headers",
        "-Wno-builtin-macro-redefined",
        "-D__DATE__=",
        "-D__TIME__=",
    ],
)

cc_toolchain(
    name = "cc-compiler-k8",
    all_files = ":empty",
    compiler_files = ":empty",
    dwp_files = ":empty",
    linker_files = ":empty",
    objcopy_files = ":empty",
    strip_files = ":empty",
    supports_param_files = 1,
    toolchain_config = ":config",
)
"""

_TOOLCHAIN = """\
toolchain(
    name = "toolchain",
    exec_compatible_with = [
        "@platforms//cpu:x86_64",
        "@platforms//os:linux",
        "@rules_nixpkgs_core//constraints:support_nix",
    ],
    target_compatible_with = [
        "@platforms//cpu:x86_64",
        "@platforms//os:linux",
    ],
    toolchain = "@{name}//:cc-compiler-k8",
    toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
)
"""

def _configuration_impl(repository_ctx):
    info = json.decode(repository_ctx.read(repository_ctx.attr.info))
    repository_ctx.symlink(
        Label("@bazel_tools//tools/cpp:unix_cc_toolchain_config.bzl"),
        "cc_toolchain_config.bzl",
    )
    repository_ctx.file("BUILD.bazel", _CONFIGURATION.format(
        bintools = info["tools"]["ld"].rpartition("/")[0],
        include_folders = repr(info["include_folders"]),
        tools = repr(info["tools"]),
    ))

_configuration = repository_rule(
    implementation = _configuration_impl,
    attrs = {"info": attr.label(doc = "CC_TOOLCHAIN_INFO")},
    doc = "A toolchain of the programs that a package names.",
)

def nixpkgs_cc_configure(
        name = "local_config_cc",
        repository = None,
        register = True,
        **_):
    """Declares a compiler, and a toolchain that uses it.

    Args:
      name: the name of the package
      repository: the Nix repository
      register: whether to register the toolchain
      **_: taken, and not used
    """
    nixpkgs_package(
        name = name + "_info",
        build_file_content = "exports_files(['CC_TOOLCHAIN_INFO'])",
        nix_file = "@rules_nixpkgs_cc//:cc.nix",
        repository = repository,
    )
    _configuration(name = name, info = "@%s_info//:CC_TOOLCHAIN_INFO" % name)
    toolchain_repository(name = name + "_toolchains", content = _TOOLCHAIN.format(name = name))
    if register:
        native.register_toolchains("@%s_toolchains//:all" % name)
