"""The closure of a copied package, as a file that targets can use.

The file is in its own Bazel package, in the folder of the manifests, so that the package that
rules_nixpkgs generates stays unchanged.
"""

load(":files.bzl", "write_file")

FOLDER = "bazel-support/nix-remote"
_FILE = "closure.txt"

_BUILD = """\
exports_files(
    ["%s"],
    visibility = ["//visibility:public"],
)
""" % _FILE

def write_closure(repository_ctx, manifest):
    """Writes the store paths of a manifest, one on each line.

    Args:
      repository_ctx: the repository rule's context
      manifest: the path of the file that the copier wrote
    """
    paths = json.decode(repository_ctx.read(manifest))["paths"]
    write_file(repository_ctx, FOLDER + "/" + _FILE, "\n".join(paths) + "\n")
    write_file(repository_ctx, FOLDER + "/BUILD.bazel", _BUILD)

def closure_of(repository):
    """The label of the file that `write_closure` writes.

    Args:
      repository: the name of a package's repository, beginning with `@`

    Returns:
      a string
    """
    return "{}//{}:{}".format(repository, FOLDER, _FILE)
