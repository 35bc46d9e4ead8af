"""Bazel on the workstation: its configuration for running offline, and workspaces.

Belongs here: everything about Bazel that only a lab needs. It is all in one rc
file and a few folders, so that a workspace under test is as a user would write it.
"""

from __future__ import annotations

import enum
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

from lab import images, nix, other_bazel, remote_execution
from lab.commands import Outcome
from lab.host import Host
from lab.other_bazel import OtherBazel

RULES_NIXPKGS = "/opt/rules_nixpkgs"
"""Where `prepare` puts rules_nixpkgs."""

TOOLCHAINS = ("cc", "go", "java", "nodejs", "posix", "python", "rust")
"""The toolchains of rules_nixpkgs. Each is a module, and for WORKSPACE files a repository."""

_MODULES = "/opt/bazel_modules"
_NEWER_DEFAULTS = "/opt/newer_defaults.bazelrc"
_DEBIAN = "/usr/share/bazel"
_EXAMPLES = images.REPOSITORY / "examples"

# Bazel's own MODULE.bazel depends on these; Debian does not have them.
_EMPTY_MODULES = ("apple_support", "buildozer", "protobuf", "zlib")

# The rules of languages, as far as rules_nixpkgs loads them: module -> name in WORKSPACE.
_LANGUAGE_RULES = {
    "rules_go": "io_bazel_rules_go",
    "rules_nodejs": "rules_nodejs",
    "rules_rust": "rules_rust",
    "rules_sh": "rules_sh",
}

# Toolchain -> the module with the rules of its language that it depends on.
_LANGUAGE_MODULES = {
    "go": "rules_go",
    "nodejs": "rules_nodejs",
    "posix": "rules_sh",
    "rust": "rules_rust",
}

# What rules_nixpkgs downloads for WORKSPACE files, and where Debian has it.
_REPOSITORIES = {
    "bazel_skylib": f"{_DEBIAN}/tools/skylib",
    "platforms": f"{_DEBIAN}/tools/platforms",
    "rules_java": f"{_DEBIAN}/rules/java",
    "rules_license": f"{_DEBIAN}/rules/license",
}


class Defaults(enum.Enum):
    """The version of Bazel whose defaults apply, as far as flags can set them."""

    SEVEN = ()
    """Those of the Bazel that is installed."""
    NEWER = (f"--bazelrc={_NEWER_DEFAULTS}",)
    """Those of Bazel 8 to 10, by `newer_defaults.bazelrc`; a newer Bazel has its own."""


def prepare(
    workstation: Host, service: Host, rules_nixpkgs: Path, other: Optional[OtherBazel] = None
) -> None:
    """Configures Bazel on the workstation for workspaces that use nix_remote.

    `rules_nixpkgs` is a checkout of rules_nixpkgs, or something with its layout.
    Builds with `--config=remote` run on the executors of `service`. `other` replaces
    Debian's Bazel.
    """
    workstation.put(Path(__file__).parent / "bazel_modules", _MODULES)
    workstation.sh(f"rm -rf {RULES_NIXPKGS}")
    for part in ("core", "nixpkgs", *(f"toolchains/{name}" for name in TOOLCHAINS)):
        workstation.put(rules_nixpkgs / part, f"{RULES_NIXPKGS}/{part}")
    workstation.write(f"{RULES_NIXPKGS}/WORKSPACE", "")
    if other is None:
        finding = _debian_modules()
    else:
        stubs = Path(__file__).parent / "bazel_modules"
        users = [*images.REPOSITORY.glob("MODULE.bazel"), *_EXAMPLES.glob("*/MODULE.bazel")]
        users += rules_nixpkgs.glob("core/MODULE.bazel")
        users += rules_nixpkgs.glob("toolchains/*/MODULE.bazel")
        finding = other_bazel.install(workstation, other, stubs, users)
    workstation.write("/root/.bazelrc", _rc(workstation, service, finding))
    newer = Path(__file__).with_name("newer_defaults.bazelrc")
    version = workstation.run(["bazel", "--version"]).check().stdout.split()[1]
    flags = newer.read_text() if version.startswith("7.") else ""
    workstation.write(_NEWER_DEFAULTS, flags)


def has_repositories(host: Host) -> bool:
    """Whether the host's Bazel finds the repositories of WORKSPACE files offline: Debian's does."""
    return not other_bazel.is_installed(host)


def _debian_modules() -> list[str]:
    """How Debian's Bazel finds modules, and repositories of WORKSPACE files."""
    modules = {name: f"{_MODULES}/{name}" for name in _EMPTY_MODULES}
    repositories = _REPOSITORIES | {
        name: f"{_MODULES}/{module}" for module, name in _LANGUAGE_RULES.items()
    }
    return [
        *(f"common --override_module={name}={path}" for name, path in modules.items()),
        *(f"common --override_repository={name}={path}" for name, path in repositories.items()),
    ]


def _rc(workstation: Host, service: Host, finding: Sequence[str]) -> str:
    nix_remote = "/src/nix_remote"
    modules = {"nix_remote": nix_remote, "rules_nixpkgs_core": f"{RULES_NIXPKGS}/core"}
    repositories = {
        "io_tweag_rules_nixpkgs": RULES_NIXPKGS,
        "nix_remote": nix_remote,
        "rules_nixpkgs_core": f"{RULES_NIXPKGS}/core",
        **{f"rules_nixpkgs_{name}": f"{RULES_NIXPKGS}/toolchains/{name}" for name in TOOLCHAINS},
    }
    # The only shell of executors is in the store. It is copied like every package, so
    # workspaces whose actions need it must depend on it.
    shell = nix.build(workstation, ["bash"])["bash"]
    options = [
        "startup --host_jvm_args=-Xmx1g",
        *finding,
        *(f"common --override_module={name}={path}" for name, path in modules.items()),
        *(f"common --override_repository={name}={path}" for name, path in repositories.items()),
        "common --color=no --curses=no --show_progress_rate_limit=10",
        "build --nosandbox_debug",  # Debian's rc file turns it on; it floods the output.
        f"build:remote --remote_executor=grpc://{service.name}:{remote_execution.PORT}",
        "build:remote --remote_default_exec_properties=OSFamily=linux",
        "build:remote --spawn_strategy=remote --genrule_strategy=remote",
        "build:remote --remote_timeout=60 --remote_retries=1",
        f"build:remote --shell_executable={shell}/bin/bash",
    ]
    return "\n".join(options) + "\n"


def toolchain_modules(*toolchains: str) -> str:
    """Lines for the rc file of a workspace that has these toolchains' modules.

    Not for every workspace: Bazel refuses to override a module that a build does not have.
    """
    folders = {f"rules_nixpkgs_{name}": f"{RULES_NIXPKGS}/toolchains/{name}" for name in toolchains}
    for name in toolchains:
        if name in _LANGUAGE_MODULES:
            folders[_LANGUAGE_MODULES[name]] = f"{_MODULES}/{_LANGUAGE_MODULES[name]}"
    return "".join(f"common --override_module={name}={path}\n" for name, path in folders.items())


@dataclass(frozen=True)
class Workspace:
    """A Bazel workspace: a folder on a host, and the Bazel server that belongs to it."""

    host: Host
    folder: str
    defaults: Defaults = Defaults.NEWER

    def bazel(
        self, *words: str, env: Optional[Mapping[str, str]] = None, timeout: float = 120
    ) -> Outcome:
        """Runs Bazel in the workspace and waits for it."""
        command = ["env", f"--chdir={self.folder}", "bazel", *self.defaults.value, *words]
        return self.host.run(command, env=env, timeout=timeout)

    def write(self, files: Mapping[str, str]) -> None:
        """Writes files, by their paths in the workspace."""
        for path, text in files.items():
            self.host.write(f"{self.folder}/{path}", text)

    def repositories(self) -> dict[str, str]:
        """The external repositories that were fetched: apparent name -> folder.

        The apparent name is what follows the last separator of the canonical one.
        """
        external = self.bazel("info", "output_base").check().stdout.strip() + "/external"
        folders = self.host.sh(f"cd {external} && ls -d -- */").split()
        names = [folder.rstrip("/") for folder in folders]
        return {apparent_name(name): f"{external}/{name}" for name in names}

    def shut_down(self) -> None:
        """Ends the workspace's Bazel server; its files stay."""
        self.bazel("shutdown").check()


def apparent_name(canonical_name: str) -> str:
    """The name of a repository in its module or extension.

    The separator in canonical names is `~` up to Bazel 7, and `+` from Bazel 8 on.
    """
    return re.split("[~+]", canonical_name.rstrip("~+"))[-1]


def new_workspace(
    host: Host, source: Optional[Path] = None, defaults: Defaults = Defaults.NEWER
) -> Workspace:
    """A new workspace: empty, or a copy of `source`."""
    name = source.name if source is not None else "project"
    workspace = Workspace(host, f"/root/workspaces/{uuid.uuid4().hex[:8]}/{name}", defaults)
    host.sh(f"mkdir -p {workspace.folder}")
    if source is not None:
        host.put(source, workspace.folder)
    return workspace
