"""The table of nix_remote's drop-ins for names of rules_nixpkgs.

An entry has the declaration in a workspace, and the repositories that then have store paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab import bazel, images, nix
from nix_remote import __version__
from tests.bazel.project import Mode

_HERE = images.REPOSITORY / "tests" / "bazel"


@dataclass(frozen=True)
class Entry:
    """One name that users load."""

    name: str
    packages: tuple[str, ...]
    """The repositories that realise something."""
    declaration: str
    """A call of a macro, or tags of an extension."""
    load: str = ""
    """Where a macro is loaded from; empty for an extension."""
    modes: tuple[Mode, ...] = field(default=(Mode.BZLMOD, Mode.WORKSPACE))
    needs: str = ""
    """The file of rules_nixpkgs that defines it, if not every supported version has it."""

    @property
    def is_macro(self) -> bool:
        return bool(self.load)


def _macro(name: str, file: str, packages: str, arguments: str, *modes: Mode) -> Entry:
    call = f"{name}({arguments})"
    return Entry(
        name, tuple(packages.split()), call, f"@nix_remote//bzl{file}", modes or tuple(Mode)
    )


def _tags(name: str, packages: str, declaration: str, needs: str = "") -> Entry:
    return Entry(name, tuple(packages.split()), declaration, modes=(Mode.BZLMOD,), needs=needs)


_FROM_NIXPKGS = 'repository = "@nixpkgs"'
_UNREGISTERED = f"{_FROM_NIXPKGS}, register = False"
_FLAKE = 'nix_flake_file = "//flake:flake.nix", nix_flake_lock_file = "//flake:flake.lock"'

ENTRIES = (
    _macro(
        "nixpkgs_package",
        ":nixpkgs.bzl",
        "macro_package",
        f'name = "macro_package", attribute_path = "multi.all", {_FROM_NIXPKGS}',
    ),
    _macro(
        "nixpkgs_flake_package",
        ":nixpkgs.bzl",
        "macro_flake",
        # Before 0.11, rules_nixpkgs leaves it to the user to turn flakes on.
        f'name = "macro_flake", {_FLAKE},'
        ' nixopts = ["--extra-experimental-features", "nix-command flakes"]',
    ),
    _macro(
        "nixpkgs_local_repository",
        ":nixpkgs.bzl",
        "",
        'name = "macro_local", nix_file_content = "import <nixpkgs>"',
    ),
    _macro(
        "nixpkgs_http_repository",
        ":nixpkgs.bzl",
        "",
        'name = "macro_http", url = "file:///nowhere.tar.gz", sha256 = "0" * 64',
    ),
    _macro(
        "nixpkgs_git_repository",
        ":nixpkgs.bzl",
        "",
        'name = "macro_git", revision = "24.05", remote = "file:///nowhere"',
    ),
    _macro(
        "nixpkgs_cc_configure",
        "/toolchains:cc.bzl",
        "table_cc_info",
        f'name = "table_cc", {_UNREGISTERED}',
    ),
    _macro(
        "nixpkgs_foreign_cc_configure",
        "/toolchains:foreign_cc.bzl",
        "table_foreign_cc",
        f'name = "table_foreign_cc", {_FROM_NIXPKGS}',
        # It always registers its toolchains, which a module extension cannot do.
        Mode.WORKSPACE,
    ),
    _macro(
        "nixpkgs_go_configure",
        "/toolchains:go.bzl",
        "table_go",
        f'sdk_name = "table_go", {_UNREGISTERED}',
    ),
    _macro(
        "nixpkgs_java_configure",
        "/toolchains:java.bzl",
        "table_java",
        f'name = "table_java", attribute_path = "jdk.home", toolchain = True,'
        f' toolchain_name = "table", toolchain_version = "17", {_UNREGISTERED}',
    ),
    _macro(
        "nixpkgs_nodejs_configure",
        "/toolchains:nodejs.bzl",
        "table_nodejs",
        f'name = "table_nodejs", {_UNREGISTERED}',
    ),
    _macro(
        "nixpkgs_nodejs_configure_platforms",
        "/toolchains:nodejs.bzl",
        "table_nodejs_everywhere_linux_amd64",
        f'name = "table_nodejs_everywhere", {_UNREGISTERED}',
    ),
    _macro(
        "nixpkgs_sh_posix_configure",
        "/toolchains:posix.bzl",
        "table_posix",
        f'name = "table_posix", {_UNREGISTERED}',
    ),
    _macro(
        "nixpkgs_python_configure",
        "/toolchains:python.bzl",
        "table_python_python3",
        f'name = "table_python", {_UNREGISTERED}',
    ),
    _macro(
        "nixpkgs_python_repository",
        "/toolchains:python.bzl",
        "generated_table_packages_deps",
        f'name = "table_packages", nix_file = "//:python_packages.nix", {_FROM_NIXPKGS}',
    ),
    _macro(
        "nixpkgs_rust_configure",
        "/toolchains:rust.bzl",
        "table_rust",
        f'name = "table_rust", {_UNREGISTERED}',
    ),
    _tags(
        "nix_pkg",
        "hello tag_attr tag_file tag_expr",
        'nix_pkg.default(attr = "hello")\n'
        'nix_pkg.attr(attr = "greeting", name = "tag_attr", build_file = "//:greeting.BUILD",'
        ' nixopts = ["--option", "cores", "1"])\n'
        'nix_pkg.file(attr = "greeting", name = "tag_file", file = "//:file.nix",'
        ' file_deps = ["//:dependency.nix"])\n'
        'nix_pkg.expr(attr = "", name = "tag_expr", expr = "(import <nixpkgs> { }).multi",'
        ' build_file_content = "# a BUILD file of its own")\n',
    ),
    _tags(
        "rules_nixpkgs",
        "tag_flake",
        f'rules_nixpkgs.flake_package(name = "tag_flake", {_FLAKE})',
        "core/extensions/rules_nixpkgs.bzl",
    ),
    _tags(
        "nix_nodejs",
        "nixpkgs_nodejs_linux_amd64",
        "",
        "toolchains/nodejs/extensions/toolchain.bzl",
    ),
    _tags(
        "nix_repo",
        "",
        'nix_repo.file(name = "nixpkgs", file = "//:nixpkgs.nix")\nuse_repo(nix_repo, "nixpkgs")',
    ),
)

_EXTENSION_FILES = {
    "nix_nodejs": "@nix_remote//bzl/toolchains:nix_nodejs.bzl",
    "nix_pkg": "@nix_remote//bzl:extensions.bzl",
    "nix_repo": "@nix_remote//bzl:nix_repo.bzl",
    "rules_nixpkgs": "@nix_remote//bzl:extensions.bzl",
}

_FLAKE_FILE = """\
{
  outputs = { self }: {
    packages.x86_64-linux.default = builtins.derivation {
      name = "from-a-flake";
      system = "x86_64-linux";
      builder = "/usr/bin/bash";
      args = [ "-c" "/usr/bin/mkdir -p $out/bin; echo > $out/bin/from-a-flake; exit 0" ];
    };
  };
}
"""


def files(mode: Mode) -> dict[str, str]:
    """The files of a workspace that uses every entry of a mode."""
    entries = [entry for entry in ENTRIES if mode in entry.modes]
    common = {
        "BUILD.bazel": "",
        "dependency.nix": "import <nixpkgs> { }",
        "file.nix": "import ./dependency.nix",
        "flake/BUILD.bazel": "",
        "flake/flake.lock": '{ "nodes": { "root": { } }, "root": "root", "version": 7 }',
        "flake/flake.nix": _FLAKE_FILE,
        "greeting.BUILD": "# a BUILD file from a file",
        "nixpkgs.nix": (_HERE / "toolchain_packages.nix")
        .read_text()
        .replace("PACKAGE_SET", nix.PACKAGE_SET),
        "python_packages.nix": "let pkgs = import <nixpkgs> { }; in"
        " { python = pkgs.python3; pkgs = [ pkgs.pythonPackages.right ]; }",
    }
    return common | (_bzlmod(entries) if mode is Mode.BZLMOD else _workspace(entries))


def _loads(entries: list[Entry]) -> str:
    return "\n".join(f'load("{entry.load}", "{entry.name}")' for entry in entries if entry.load)


def _bzlmod(entries: list[Entry]) -> dict[str, str]:
    macros = [entry for entry in entries if entry.is_macro]
    dependency = f'bazel_dep(name = "nix_remote", version = "{__version__}")'
    module = ['module(name = "table")', dependency]
    for name in ("core", *bazel.TOOLCHAINS):
        module.append(f'bazel_dep(name = "rules_nixpkgs_{name}", version = "0.13.0")')
    for name in ("bazel_skylib", "rules_cc", "rules_java", "rules_license"):
        module.append(f'bazel_dep(name = "{name}", version = "0.0.1")')
    for entry in entries:
        if not entry.is_macro:
            file = _EXTENSION_FILES[entry.name]
            module.append(f'{entry.name} = use_extension("{file}", "{entry.name}")')
            module.append(entry.declaration)
            module += [f'use_repo({entry.name}, "{package}")' for package in entry.packages]
    module.append('macros = use_extension("//:macros.bzl", "macros")')
    module += [f'use_repo(macros, "{package}")' for entry in macros for package in entry.packages]
    calls = "\n".join(f"    {entry.declaration}" for entry in macros)
    extension = f"\ndef _macros(_):\n{calls}\n\nmacros = module_extension(_macros)\n"
    return {
        ".bazelrc": bazel.toolchain_modules(*bazel.TOOLCHAINS),
        "MODULE.bazel": "\n".join(module) + "\n",
        "macros.bzl": _loads(macros) + extension,
    }


def _workspace(entries: list[Entry]) -> dict[str, str]:
    lines = [
        'workspace(name = "table")',
        'load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")',
        # The archives are never downloaded: the lab overrides these repositories.
        'http_archive(name = "io_tweag_rules_nixpkgs", url = "rules_nixpkgs.tar.gz")',
        'http_archive(name = "nix_remote", url = "nix_remote.tar.gz")',
        'http_archive(name = "io_bazel_rules_go", url = "rules_go.tar.gz")',
        'http_archive(name = "rules_rust", url = "rules_rust.tar.gz")',
        'http_archive(name = "rules_sh", url = "rules_sh.tar.gz")',
        'load("@io_tweag_rules_nixpkgs//nixpkgs:repositories.bzl", "rules_nixpkgs_dependencies")',
        "rules_nixpkgs_dependencies()",
        'load("@nix_remote//bzl:repositories.bzl", "nix_remote_dependencies")',
        "nix_remote_dependencies()",
        _loads(entries),
        'nixpkgs_local_repository(name = "nixpkgs", nix_file = "//:nixpkgs.nix")',
        *(entry.declaration for entry in entries),
    ]
    return {
        ".bazelrc": "common --noenable_bzlmod\n",
        "WORKSPACE": "\n".join(lines) + "\n",
    }
