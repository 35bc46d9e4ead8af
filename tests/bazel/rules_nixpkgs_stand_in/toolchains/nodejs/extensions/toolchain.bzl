"""Stand-in for tests, not rules_nixpkgs: the `nix_nodejs` module extension."""

load("@rules_nixpkgs_core//:util.bzl", "toolchain_repository")
load("//private:common.bzl", "PLATFORMS", "nixpkgs_nodejs")

_DEFAULT_NIXPKGS = "@nixpkgs"

def _nix_nodejs_impl(_):
    for platform in PLATFORMS.values():
        nixpkgs_nodejs(
            name = "nixpkgs_nodejs_" + platform,
            attribute_path = "nodejs",
            repository = _DEFAULT_NIXPKGS,
        )
    toolchain_repository(name = "nixpkgs_nodejs_toolchains", content = "# stand-in")

nix_nodejs = module_extension(
    _nix_nodejs_impl,
    doc = "Declares Node.js for every platform.",
)
