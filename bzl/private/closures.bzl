"""The closure of a package that was copied, as a file that targets can use.

The file is in a Bazel package of its own, below the folder of the manifests, so that the package
that rules_nixpkgs makes stays as it is.
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
      manifest: the path of the file that the copier has written
    """
    paths = json.decode(repository_ctx.read(manifest))["paths"]
    write_file(repository_ctx, FOLDER + "/" + _FILE, "\n".join(paths) + "\n")
    write_file(repository_ctx, FOLDER + "/BUILD.bazel", _BUILD)

def closure_of(repository):
    """The label of the file.

    Args:
      repository: the name of a package's repository, beginning with `@`

    Returns:
      a string
    """
    return "{}//{}:{}".format(repository, FOLDER, _FILE)
