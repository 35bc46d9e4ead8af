"""A Bazel workspace whose packages a test chooses, for MODULE.bazel and for WORKSPACE.

One workspace serves many tests, so that they share a Bazel server. Tests do not
share packages: each makes its own, with `new_package`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import Enum
from typing import Mapping, Optional

from lab import bazel, lab, nix
from lab.commands import Outcome
from nix_remote import __version__
from tests.bazel.observed_python import ObservedPython

_numbers = itertools.count(1)


class Mode(Enum):
    """How a workspace declares what it depends on."""

    BZLMOD = "bzlmod"
    WORKSPACE = "workspace"

    @property
    def defaults(self) -> bazel.Defaults:
        """Those of a Bazel that has this mode: from Bazel 9 on there are no WORKSPACE files."""
        return bazel.Defaults.NEWER if self is Mode.BZLMOD else bazel.Defaults.SEVEN


class Rules(Enum):
    """Whose package rules a workspace loads."""

    NIX_REMOTE = "nix_remote"
    RULES_NIXPKGS = "rules_nixpkgs"


@dataclass(frozen=True)
class Package:
    """A package of a project."""

    name: str
    expression: str
    """In Nix; `pkgs` is the lab's package set."""
    output: str = ""
    """The attribute of the expression to use: `.dev`, for instance."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """More arguments for its declaration."""


def new_package(
    *, outputs: str = "out", output: str = "", script: str = "", **arguments: object
) -> Package:
    """A unique package: a program that prints its name, run by the store's shell.

    `script` can add files. Every output has at least one.
    """
    name = f"package_{next(_numbers)}"
    words = outputs.split()
    names = " ".join(f'"{word}"' for word in words)
    text = f"""
      for folder in {" ".join(f"${word}" for word in words)}; do
        mkdir -p $folder/bin
        echo "this is {name}" > $folder/text
        program=$folder/bin/{name}
        printf '#!%s\\necho "$(<%s)"\\n' ${{pkgs.bash}}/bin/bash $folder/text > $program
        chmod +x $program
      done
      {script}
    """
    expression = f"pkgs.runCommand \"{name}\" {{ outputs = [ {names} ]; }} ''{text}''"
    return Package(name, expression, output, arguments)


_NIXPKGS = """\
{{ config ? {{ }}, overlays ? [ ] }}:
let pkgs = import {package_set} {{ }}; in pkgs // {{
{packages}
}}
"""

_MODULE = """\
module(name = "project")
bazel_dep(name = "nix_remote", version = "{version}")
bazel_dep(name = "rules_nixpkgs_core", version = "0.13.0")
nix_repo = use_extension("@rules_nixpkgs_core//extensions:repository.bzl", "nix_repo")
nix_repo.file(name = "nixpkgs", file = "//:nixpkgs.nix")
use_repo(nix_repo, "nixpkgs")
nix_pkg = use_extension("{extension}", "nix_pkg")
nix_remote = use_extension("@nix_remote//bzl:configuration.bzl", "nix_remote")
nix_remote.configure({configuration})
{packages}
"""

_EXTENSIONS = {
    Rules.NIX_REMOTE: "@nix_remote//bzl:extensions.bzl",
    Rules.RULES_NIXPKGS: "@rules_nixpkgs_core//extensions:package.bzl",
}

# The archives are never downloaded: the lab overrides these repositories.
_WORKSPACE = """\
workspace(name = "project")
load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")
http_archive(name = "io_tweag_rules_nixpkgs", url = "rules_nixpkgs.tar.gz")
http_archive(name = "nix_remote", url = "nix_remote.tar.gz")
load("@io_tweag_rules_nixpkgs//nixpkgs:repositories.bzl", "rules_nixpkgs_dependencies")
rules_nixpkgs_dependencies(toolchains = [])
load("@nix_remote//bzl:repositories.bzl", "nix_remote_dependencies")
nix_remote_dependencies({configuration})
load("{macros}", "nixpkgs_flake_package", "nixpkgs_local_repository", "nixpkgs_package")
nixpkgs_local_repository(name = "nixpkgs", nix_file = "//:nixpkgs.nix")
{packages}
"""

_MACROS = {
    Rules.NIX_REMOTE: "@nix_remote//bzl:nixpkgs.bzl",
    Rules.RULES_NIXPKGS: "@rules_nixpkgs_core//:nixpkgs.bzl",
}


@dataclass(frozen=True)
class Project:
    """The workspace. Nothing is fetched in it until a test fetches it."""

    workspace: bazel.Workspace
    mode: Mode
    python: ObservedPython

    def declare(
        self,
        *packages: Package,
        rules: Rules = Rules.NIX_REMOTE,
        configuration: str = "",
        more: str = "",
    ) -> None:
        """Declares these packages in the workspace, and no others.

        `configuration` has arguments of the tag `configure` or of `nix_remote_dependencies`;
        `more` is appended as it is.
        """
        nixpkgs = "\n".join(f"  {package.name} = {package.expression};" for package in packages)
        declarations = "\n".join([*(self._declaration(package) for package in packages), more])
        files = {
            "BUILD.bazel": "",
            "nixpkgs.nix": _NIXPKGS.format(package_set=nix.PACKAGE_SET, packages=nixpkgs),
        }
        if self.mode is Mode.BZLMOD:
            files[".bazelrc"] = ""
            files["MODULE.bazel"] = _MODULE.format(
                configuration=configuration,
                extension=_EXTENSIONS[rules],
                packages=declarations,
                version=__version__,
            )
        else:
            files[".bazelrc"] = "common --noenable_bzlmod\n"
            files["WORKSPACE"] = _WORKSPACE.format(
                configuration=configuration, macros=_MACROS[rules], packages=declarations
            )
        self.workspace.write(files)

    def _declaration(self, package: Package) -> str:
        attribute = package.name + package.output
        # Strings, lists and booleans are written alike in Python and Starlark.
        more = "".join(f", {name} = {value!r}" for name, value in package.arguments.items())
        if self.mode is Mode.BZLMOD:
            return (
                f'nix_pkg.attr(name = "{package.name}", attr = "{attribute}"{more})\n'
                f'use_repo(nix_pkg, "{package.name}")'
            )
        return (
            f'nixpkgs_package(name = "{package.name}", attribute_path = "{attribute}",'
            f' repository = "@nixpkgs"{more})'
        )

    def bazel(
        self, *words: str, host: Optional[str], env: Optional[Mapping[str, str]] = None
    ) -> Outcome:
        """Runs Bazel with `BAZEL_NIX_REMOTE` and, for the copier, the observed Python."""
        variables = {"NIX_REMOTE_PYTHON": self.python.path}
        if host is not None:
            variables["BAZEL_NIX_REMOTE"] = host
        return self.workspace.bazel(*words, env={**variables, **(env or {})})

    def fetch(
        self,
        package: Package,
        *options: str,
        host: Optional[str] = lab.ALIAS,
        env: Optional[Mapping[str, str]] = None,
    ) -> Outcome:
        """Makes Bazel fetch a package's repository, and builds nothing."""
        return self.bazel("query", *options, f"@{package.name}//:all", host=host, env=env)

    def override(self, module: str, folder: str) -> str:
        """The option that makes Bazel use a folder as `nix_remote` or `rules_nixpkgs_core`."""
        kind = "module" if self.mode is Mode.BZLMOD else "repository"
        return f"--override_{kind}={module}={folder}"

    def store_paths(self, package: Package) -> set[str]:
        """The store paths of a package's declaration, by Nix itself."""
        expression = f"({package.expression}){package.output}"
        return set(nix.build_expression(self.workspace.host, expression))
