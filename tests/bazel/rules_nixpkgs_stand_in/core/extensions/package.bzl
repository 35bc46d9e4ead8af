"""Stand-in for tests, not rules_nixpkgs: the `nix_pkg` module extension."""

load("//:nixpkgs.bzl", "nixpkgs_package")

_DEFAULT_NIXKGS = "@nixpkgs"

def _declare(tag):
    by_file = {}
    if hasattr(tag, "file"):
        by_file = {"nix_file": tag.file, "nix_file_deps": tag.file_deps, "_bzlmod": True}
    if hasattr(tag, "expr"):
        by_file = {"nix_file_content": tag.expr, "nix_file_deps": tag.file_deps}
    nixpkgs_package(
        name = tag.name or tag.attr,
        attribute_path = tag.attr,
        build_file = tag.build_file,
        build_file_content = tag.build_file_content,
        nixopts = tag.nixopts,
        repository = tag.repo or _DEFAULT_NIXKGS,
        **by_file
    )

def _nix_pkg_impl(module_ctx):
    declared = {}
    for module in module_ctx.modules:
        for tag in module.tags.attr + module.tags.file + module.tags.expr:
            name = tag.name or tag.attr
            if name in declared:
                fail("stand-in: two packages are named " + name)
            declared[name] = module.is_root
            _declare(tag)
    for module in module_ctx.modules:
        for tag in module.tags.default:
            if tag.attr not in declared:
                nixpkgs_package(
                    name = tag.attr,
                    attribute_path = tag.attr,
                    repository = _DEFAULT_NIXKGS,
                )
            declared[tag.attr] = module.is_root or declared.get(tag.attr, False)
    return module_ctx.extension_metadata(
        root_module_direct_deps = [name for name, by_root in declared.items() if by_root],
        root_module_direct_dev_deps = [],
    )

_ATTR = {"attr": attr.string(mandatory = True, doc = "Which attribute of the expression.")}

_COMMON_ATTRS = _ATTR | {
    "build_file": attr.label(doc = "A BUILD file for it."),
    "build_file_content": attr.string(doc = "The text of one."),
    "name": attr.string(doc = "The package's name, if not the attribute."),
    "nixopts": attr.string_list(doc = "More options for nix-build."),
    "repo": attr.label(doc = "The Nix repository, if not @nixpkgs."),
}

_DEPENDENCIES = {"file_deps": attr.label_list(doc = "More files of it.")}

nix_pkg = module_extension(
    _nix_pkg_impl,
    doc = "Declares packages.",
    tag_classes = {
        "attr": tag_class(attrs = _COMMON_ATTRS, doc = "A package of a Nix repository."),
        "default": tag_class(attrs = _ATTR, doc = "A package that several modules share."),
        "expr": tag_class(
            attrs = _COMMON_ATTRS | _DEPENDENCIES | {
                "expr": attr.string(mandatory = True, doc = "An expression."),
            },
            doc = "A package of an expression.",
        ),
        "file": tag_class(
            attrs = _COMMON_ATTRS | _DEPENDENCIES | {
                "file": attr.label(mandatory = True, doc = "A file with an expression."),
            },
            doc = "A package of a file.",
        ),
    },
)
