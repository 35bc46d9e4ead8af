"""Stand-in for tests, not rules_nixpkgs."""

load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_package")
load("@rules_nixpkgs_core//:util.bzl", "toolchain_repository")

def nixpkgs_foreign_cc_configure(name = "nixpkgs_foreign_cc", repository = None):
    """Declares a package, and a toolchain that would use it."""
    nixpkgs_package(name = name, attribute_path = "cmake", repository = repository)
    toolchain_repository(name = name + "_toolchain", content = "# @%s" % name)
    native.register_toolchains("@%s_toolchain//:all" % name)
