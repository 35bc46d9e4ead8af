"""Stand-in for tests, not rules_nixpkgs."""

load("@io_bazel_rules_go//go/private:platforms.bzl", "PLATFORMS")
load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_package")
load("@rules_nixpkgs_core//:util.bzl", "toolchain_repository")

# buildifier: disable=unnamed-macro
def nixpkgs_go_configure(
        sdk_name = "go_sdk",
        attribute_path = "go",
        repository = None,
        register = True):
    """Declares a package, and toolchains that would use it.

    Args:
      sdk_name: the name of the package
      attribute_path: which attribute of the Nix repository
      repository: the Nix repository
      register: whether to register the toolchain
    """
    nixpkgs_package(name = sdk_name, attribute_path = attribute_path, repository = repository)
    constraints = []
    for p in PLATFORMS:
        constraints += [str(Label(c)) for c in p.constraints if c not in (
            "@io_bazel_rules_go//go/toolchain:cgo_off",
            "@io_bazel_rules_go//go/toolchain:cgo_on",
        )]
    toolchain_repository(name = sdk_name + "_toolchains", content = "# %s" % constraints)
    if register:
        native.register_toolchains("@%s_toolchains//:all" % sdk_name)
