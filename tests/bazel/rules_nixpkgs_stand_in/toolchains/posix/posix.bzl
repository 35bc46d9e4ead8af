"""Stand-in for tests, not rules_nixpkgs."""

load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_package")
load("@rules_nixpkgs_core//:util.bzl", "toolchain_repository")

def nixpkgs_sh_posix_configure(name = "nixpkgs_sh_posix_config", attribute_path = "coreutils", repository = None, register = True, **_):
    """Declares a package, and a toolchain that would use it.

    Args:
      name: the name of the package
      attribute_path: which attribute of the Nix repository
      repository: the Nix repository
      register: whether to register the toolchain
      **_: taken, and not used
    """
    nixpkgs_package(name = name, attribute_path = attribute_path, repository = repository)
    toolchain_repository(name = name + "_toolchain", content = "# @%s" % name)
    if register:
        native.register_toolchains("@%s_toolchain//:all" % name)
