"""Stand-in for tests, not rules_nixpkgs: the `rules_nixpkgs` module extension."""

load("//:nixpkgs.bzl", "nixpkgs_flake_package")

def _rules_nixpkgs_impl(module_ctx):
    names = []
    for module in module_ctx.modules:
        for tag in module.tags.flake_package:
            nixpkgs_flake_package(
                name = tag.name,
                nix_flake_file = tag.nix_flake_file,
                nix_flake_lock_file = tag.nix_flake_lock_file,
                package = tag.package,
            )
            names += [tag.name] if module.is_root else []
    return module_ctx.extension_metadata(
        root_module_direct_deps = names,
        root_module_direct_dev_deps = [],
    )

rules_nixpkgs = module_extension(
    _rules_nixpkgs_impl,
    doc = "Declares packages of flakes.",
    tag_classes = {
        "flake_package": tag_class(attrs = {
            "name": attr.string(mandatory = True, doc = "The package's name."),
            "nix_flake_file": attr.label(mandatory = True, doc = "flake.nix"),
            "nix_flake_lock_file": attr.label(mandatory = True, doc = "flake.lock"),
            "package": attr.string(doc = "Which package; the flake's default if empty."),
        }),
    },
)
