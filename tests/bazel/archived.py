"""A package of a Nix repository that is downloaded: an archive whose default.nix never changes."""

from __future__ import annotations

import uuid
from typing import Final

from lab import nix
from tests.bazel.project import Mode, Project, Rules

NAME: Final = "archived"
"""Of the Nix repository."""

_BZLMOD: Final = """\
archived = use_extension("{source}", "nix_repo")
archived.http(name = "archived", url = "file://{archive}", sha256 = "{digest}")
use_repo(archived, "archived")
nix_pkg.attr(name = "{name}", attr = "package", repo = "@archived",
    build_file_content = 'exports_files(["text"])')
use_repo(nix_pkg, "{name}")
"""

_WORKSPACE: Final = """\
load("{source}", "nixpkgs_http_repository")
nixpkgs_http_repository(name = "archived", url = "file://{archive}", sha256 = "{digest}")
nixpkgs_package(name = "{name}", attribute_path = "package", repository = "@archived",
    build_file_content = 'exports_files(["text"])')
"""

_GIT: Final = """\
load("@nix_remote//bzl:nixpkgs.bzl", "nixpkgs_git_repository")
nixpkgs_git_repository(
    name = "archived", remote = "file://{remote}", revision = "{revision}", sha256 = "{digest}")
nixpkgs_package(name = "{name}", attribute_path = "package", repository = "@archived",
    build_file_content = 'exports_files(["text"])')
"""

_DECLARATIONS: Final = {Mode.BZLMOD: _BZLMOD, Mode.WORKSPACE: _WORKSPACE}
_SOURCES: Final = {
    (Mode.BZLMOD, Rules.NIX_REMOTE): "@nix_remote//bzl:nix_repo.bzl",
    (Mode.BZLMOD, Rules.RULES_NIXPKGS): "@rules_nixpkgs_core//extensions:repository.bzl",
    (Mode.WORKSPACE, Rules.NIX_REMOTE): "@nix_remote//bzl:nixpkgs.bzl",
    (Mode.WORKSPACE, Rules.RULES_NIXPKGS): "@rules_nixpkgs_core//:nixpkgs.bzl",
}


def declare(
    project: Project, name: str, archive: dict[str, str], rules: Rules = Rules.NIX_REMOTE
) -> None:
    """Makes the archive's package the only one of the project, as `name`."""
    source = _SOURCES[project.mode, rules]
    more = _DECLARATIONS[project.mode].format(name=name, source=source, **archive)
    project.declare(rules=rules, more=more)


def declare_revision(project: Project, name: str, archive: dict[str, str]) -> None:
    """The same for `nixpkgs_git_repository`, whose archives lie on a forge: in a WORKSPACE file."""
    folder = archive["archive"].removesuffix(".tar.gz")
    host = project.workspace.host
    remote, revision = folder, uuid.uuid4().hex
    file = f"{remote}/archive/{revision}.tar.gz"
    inside = f"--transform=s,^,nixpkgs-{revision}/,"
    host.sh(
        f"mkdir {remote}/archive; tar -C {folder} {inside} -czf {file} default.nix packages.nix"
    )
    digest = host.sh(f"sha256sum {file}").split()[0]
    more = _GIT.format(name=name, remote=remote, revision=revision, digest=digest)
    project.declare(more=more)


def new_archive(project: Project, text: str) -> dict[str, str]:
    """A revision of the Nix repository, whose package has that text: its file and its digest."""
    folder = f"/root/nixpkgs-{uuid.uuid4().hex[:8]}"
    host = project.workspace.host
    packages = f"""
      let pkgs = import {nix.PACKAGE_SET} {{ }};
      in {{ package = pkgs.runCommand "package" {{ }} "mkdir $out; echo {text} > $out/text"; }}
    """
    host.write(f"{folder}/default.nix", "{ ... }: import ./packages.nix")
    host.write(f"{folder}/packages.nix", packages)
    host.sh(f"tar -C {folder} -czf {folder}.tar.gz default.nix packages.nix")
    digest = host.sh(f"sha256sum {folder}.tar.gz").split()[0]
    return {"archive": f"{folder}.tar.gz", "digest": digest}
