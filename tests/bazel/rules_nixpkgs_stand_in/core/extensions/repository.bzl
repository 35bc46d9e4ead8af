"""Stand-in for tests, not rules_nixpkgs: the `nix_repo` module extension."""

load("//:nixpkgs.bzl", "nixpkgs_http_repository", "nixpkgs_local_repository")

def _http(tag):
    nixpkgs_http_repository(name = tag.name, sha256 = tag.sha256, url = tag.url)

def _local(tag):
    nixpkgs_local_repository(
        name = tag.name,
        nix_file = getattr(tag, "file", None),
        nix_file_content = getattr(tag, "expr", ""),
    )

def _nix_repo_impl(module_ctx):
    declared = {}
    for module in module_ctx.modules:
        declarations = [(tag, _local) for tag in module.tags.file + module.tags.expr]
        declarations += [(tag, _http) for tag in module.tags.http]
        for tag, declare in declarations:
            # The first module is the root: its repositories win.
            if tag.name not in declared:
                declared[tag.name] = module.is_root
                declare(tag)
    for module in module_ctx.modules:
        for tag in module.tags.default:
            if tag.name not in declared:
                fail("stand-in: no module declares the Nix repository " + tag.name)
            declared[tag.name] = module.is_root or declared[tag.name]
    return module_ctx.extension_metadata(
        root_module_direct_deps = [name for name, by_root in declared.items() if by_root],
        root_module_direct_dev_deps = [],
    )

_NAME = {"name": attr.string(mandatory = True, doc = "The repository's name.")}

nix_repo = module_extension(
    _nix_repo_impl,
    doc = "Declares Nix repositories.",
    tag_classes = {
        "default": tag_class(attrs = _NAME, doc = "One that some module declares."),
        "expr": tag_class(
            attrs = _NAME | {"expr": attr.string(mandatory = True, doc = "A Nix expression.")},
            doc = "An expression.",
        ),
        "file": tag_class(
            attrs = _NAME | {"file": attr.label(mandatory = True, doc = "A Nix file.")},
            doc = "A file of this workspace.",
        ),
        "http": tag_class(
            attrs = _NAME | {
                "sha256": attr.string(doc = "A checksum."),
                "url": attr.string(mandatory = True, doc = "Where it is."),
            },
            doc = "An archive.",
        ),
    },
)
