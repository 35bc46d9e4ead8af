"""Stand-in for tests, not rules_nixpkgs: the `nix_pkg` module extension."""

load("//:nixpkgs.bzl", "nixpkgs_package")

def _nix_pkg_impl(module_ctx):
    declared = {}
    for module in module_ctx.modules:
        for tag in module.tags.attr + module.tags.expr:
            name = tag.name or tag.attr
            if name in declared:
                fail("stand-in: two packages are named " + name)
            declared[name] = module.is_root
            nixpkgs_package(
                name = name,
                attribute_path = tag.attr,
                build_file_content = tag.build_file_content,
                nix_file_content = getattr(tag, "expr", ""),
                nixopts = tag.nixopts,
                repository = tag.repo or "@nixpkgs",
            )
    for module in module_ctx.modules:
        for tag in module.tags.default:
            if tag.attr not in declared:
                nixpkgs_package(
                    name = tag.attr,
                    attribute_path = tag.attr,
                    repository = "@nixpkgs",
                )
            declared[tag.attr] = module.is_root or declared.get(tag.attr, False)
    return module_ctx.extension_metadata(
        root_module_direct_deps = [name for name, by_root in declared.items() if by_root],
        root_module_direct_dev_deps = [],
    )

_ATTR = {"attr": attr.string(mandatory = True, doc = "Which attribute of the expression.")}

_PACKAGE_ATTRS = _ATTR | {
    "build_file_content": attr.string(doc = "The text of a BUILD file for the package."),
    "name": attr.string(doc = "The package's name, if not the attribute."),
    "nixopts": attr.string_list(doc = "More options for nix-build."),
    "repo": attr.label(doc = "The Nix repository, if not @nixpkgs."),
}

nix_pkg = module_extension(
    implementation = _nix_pkg_impl,
    doc = "Declares packages.",
    tag_classes = {
        "attr": tag_class(attrs = _PACKAGE_ATTRS, doc = "A package of a Nix repository."),
        "default": tag_class(attrs = _ATTR, doc = "A package that several modules share."),
        "expr": tag_class(
            attrs = _PACKAGE_ATTRS | {
                "expr": attr.string(mandatory = True, doc = "A Nix expression."),
            },
            doc = "A package of an expression.",
        ),
    },
)
