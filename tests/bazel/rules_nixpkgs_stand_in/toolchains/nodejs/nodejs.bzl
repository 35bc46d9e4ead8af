"""Stand-in for tests, not rules_nixpkgs."""

load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_package")
load("@rules_nixpkgs_core//:util.bzl", "toolchain_repository")
load("//private:common.bzl", "PLATFORMS", "nixpkgs_nodejs")

def nixpkgs_nodejs_configure(
        name = "nixpkgs_nodejs",
        attribute_path = "nodejs",
        repository = None,
        register = True,
        **_):
    """Declares a package, and a toolchain that would use it.

    Args:
      name: the name of the package
      attribute_path: which attribute of the Nix repository
      repository: the Nix repository
      register: whether to register the toolchain
      **_: taken, and not used
    """
    if not nixpkgs_package:
        fail("stand-in: loaded as the original does, and not used either")
    nixpkgs_nodejs(name, attribute_path, repository)
    toolchain_repository(name = name + "_toolchain", content = "# @%s" % name)
    if register:
        native.register_toolchains("@%s_toolchain//:all" % name)

def nixpkgs_nodejs_configure_platforms(name = "nixpkgs_nodejs", **kwargs):
    """Does so for every platform."""
    for platform in PLATFORMS.values():
        nixpkgs_nodejs_configure(name = "{}_{}".format(name, platform), **kwargs)
