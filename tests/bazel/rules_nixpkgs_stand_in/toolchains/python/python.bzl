"""Stand-in for tests, not rules_nixpkgs: a Python toolchain that works."""

load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_package")
load("@rules_nixpkgs_core//:util.bzl", "toolchain_repository")

_RUNTIME = """\
with import <nixpkgs> { config = {}; overlays = []; };
runCommand "python-runtime" { text = ''
  py_runtime(
      name = "runtime",
      interpreter_path = "${python3}/bin/python3",
      python_version = "PY3",
      stub_shebang = "#!${python3}/bin/python3",
      visibility = ["//visibility:public"],
  )
''; passAsFile = [ "text" ]; } "mkdir $out; cp $textPath $out/BUILD.bazel"
"""

_TOOLCHAIN = """\
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

py_runtime_pair(
    name = "py_runtime_pair",
    py3_runtime = "@{name}_python3//:runtime",
)

toolchain(
    name = "toolchain",
    exec_compatible_with = ["@rules_nixpkgs_core//constraints:support_nix"],
    toolchain = ":py_runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

def nixpkgs_python_configure(
        name = "nixpkgs_python_toolchain",
        repository = None,
        register = True,
        **_):
    """Declares a Python, and a toolchain that uses it.

    Args:
      name: the name of the package
      repository: the Nix repository
      register: whether to register the toolchain
      **_: taken, and not used
    """
    nixpkgs_package(name = name + "_python3", nix_file_content = _RUNTIME, repository = repository)
    toolchain_repository(name = name, content = _TOOLCHAIN.format(name = name))
    if register:
        native.register_toolchains("@%s//:toolchain" % name)

def _packages_impl(repository_ctx):
    packages = json.decode(repository_ctx.read(repository_ctx.attr.list))
    for name, path in packages.items():
        repository_ctx.symlink(path, name)
    repository_ctx.file("BUILD.bazel", "exports_files(glob([\"**\"]))")

_packages = repository_rule(
    implementation = _packages_impl,
    attrs = {"list": attr.label(doc = "requirements.json")},
    doc = "Links to the packages that a file in the store lists.",
)

_LIST = """\
{ nix_file }:
with import <nixpkgs> { config = {}; overlays = []; };
let list = builtins.toJSON
  (builtins.listToAttrs (map (each: { name = each.pname; value = "${each}"; })
    (import nix_file).pkgs));
in writeTextFile { name = "requirements"; destination = "/requirements.json"; text = list; }
"""

def nixpkgs_python_repository(name, nix_file, repository = None, nix_file_deps = []):
    """Declares packages that a file lists.

    Args:
      name: the name of the package
      nix_file: see the original
      repository: the Nix repository
      nix_file_deps: see the original
    """
    nixpkgs_package(
        name = "generated_%s_deps" % name,
        build_file_content = "exports_files([\"requirements.json\"])",
        nix_file_content = _LIST,
        nix_file_deps = nix_file_deps + [nix_file],
        nixopts = ["--arg", "nix_file", "$(location %s)" % nix_file],
        repository = repository,
    )
    _packages(name = name, list = "@generated_%s_deps//:requirements.json" % name)
