"""`nix-remote setup server|executor|kubernetes|bazelrc|agent`: options in, files out."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Callable, Literal, Mapping, Optional, TypedDict

from nix_remote import settings
from nix_remote.cli import options as common
from nix_remote.cli.files import read, write_all
from nix_remote.cli.result import Result
from nix_remote.errors import SetupInputUnusable
from nix_remote.setup import (
    agent_units,
    bazel_flags,
    exact,
    executor,
    kubernetes,
    nixos,
    server,
    wrapper,
)
from nix_remote.setup.bundle import Bundle
from nix_remote.setup.retention import Policy

_SYSTEMS: Mapping[str, Callable[[server.ServerPlan], Bundle]] = {
    "debian": server.bundle,
    "nixos": nixos.bundle,
}


class FilesData(TypedDict):
    """The data of a set-up that consists of files."""

    what: Literal["server", "executor", "kubernetes", "bazelrc", "agent"]
    files: dict[str, str]
    script: str
    written: list[str]
    printed: str
    use: str


def add_options(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds their parsers."""
    _add_server(kinds.add_parser("server", help="an account on the Nix server, its NFS export"))
    _add_executor(kinds.add_parser("executor", help="the mount on a machine that runs actions"))
    _add_kubernetes(kinds.add_parser("kubernetes", help="an overlay for Buildbarn on Kubernetes"))
    _add_bazelrc(kinds.add_parser("bazelrc", help="flags for Bazel"))
    _add_agent(kinds.add_parser("agent", help="units with which systemd starts the agent"))


def _add_server(parser: argparse.ArgumentParser) -> None:
    _finish(parser, _server)
    parser.add_argument(
        "--public-key", type=Path, required=True, metavar="FILE", help="the key that may log in"
    )
    parser.add_argument(
        "--account", default="nix-remote", help="name of the account (default: %(default)s)"
    )
    parser.add_argument(
        "--system", choices=list(_SYSTEMS), default="debian", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--trusted-key", default="", metavar="NAME-1:…", help="accept paths signed by this key"
    )
    parser.add_argument(
        "--executors",
        action="append",
        default=[],
        metavar="NETWORK",
        help="network that may mount the store: 10.1.0.0/16; repeatable",
    )
    parser.add_argument(
        "--fsid", default="", help="fsid of the export, if the file system has no UUID: 1"
    )
    parser.add_argument(
        "--threads", type=common.number, default=32, help="NFS threads (default: %(default)s)"
    )
    policy = Policy()
    parser.add_argument(
        "--keep-roots",
        type=common.duration,
        default=policy.keep,
        metavar="AGE",
        help="remove durable roots not used for this time (default: 30d)",
    )
    parser.add_argument(
        "--grace",
        type=common.duration,
        default=policy.grace,
        metavar="AGE",
        help="never remove roots used within this time (default: 1d)",
    )
    parser.add_argument(
        "--room",
        type=common.size,
        default=policy.room,
        metavar="SIZE",
        help="with less free disk space, also remove younger roots (default: 20G)",
    )


def _server(options: argparse.Namespace) -> Bundle:
    plan = server.ServerPlan(
        read(options.public_key),
        account=options.account,
        trusted_key=options.trusted_key,
        executors=tuple(options.executors),
        fsid=options.fsid,
        threads=options.threads,
        policy=Policy(int(options.keep_roots), int(options.grace), options.room),
    )
    return _SYSTEMS[options.system](plan)


def _add_executor(parser: argparse.ArgumentParser) -> None:
    _finish(parser, _executor)
    parser.add_argument(
        "--server", required=True, metavar="NAME", help="the server's name on executors"
    )
    parser.add_argument(
        "--way",
        choices=[way.value for way in executor.Way],
        default=executor.Way.SYSTEMD.value,
        help="how it is mounted (default: %(default)s)",
    )
    parser.add_argument(
        "--exact",
        default="",
        metavar="RUNNER",
        help=f"also {exact.PATH}, which opens the store and then starts this runner of buildbox",
    )
    parser.add_argument(
        "--cache",
        type=common.size,
        metavar="SIZE",
        help="keep on the executor's disk what was read, in a file of this size (example: 20G)",
    )


def _executor(options: argparse.Namespace) -> Bundle:
    way = executor.Way(options.way)
    plan = executor.ExecutorPlan(options.server, way, options.exact, options.cache)
    return executor.bundle(plan)


def _add_kubernetes(parser: argparse.ArgumentParser) -> None:
    _finish(parser, _kubernetes)
    parser.add_argument(
        "--base",
        required=True,
        metavar="FOLDER",
        help="Buildbarn's kubernetes/, relative to the overlay",
    )
    parser.add_argument("--server", default="", metavar="NAME", help="the server's name on nodes")
    parser.add_argument(
        "--volume",
        choices=[volume.value for volume in kubernetes.Volume],
        default=kubernetes.Volume.CLAIM.value,
        help="where pods get the store from (default: %(default)s)",
    )
    defaults = kubernetes.OverlayPlan("")
    for name in ("namespace", "deployment", "container"):
        parser.add_argument(
            f"--{name}", default=getattr(defaults, name), help="(default: %(default)s)"
        )
    parser.add_argument(
        "--runner-config",
        default=defaults.runner_config,
        metavar="FILE",
        help="the runner's file in /config; '' leaves it unchanged (default: %(default)s)",
    )


def _kubernetes(options: argparse.Namespace) -> Bundle:
    return kubernetes.bundle(
        kubernetes.OverlayPlan(
            options.base,
            options.server,
            kubernetes.Volume(options.volume),
            options.namespace,
            options.deployment,
            options.container,
            options.runner_config,
        )
    )


def _add_bazelrc(parser: argparse.ArgumentParser) -> None:
    _finish(parser, _bazelrc)
    parser.add_argument(
        "--sign-key", type=Path, metavar="FILE", help="the secret key to sign copies with"
    )
    parser.add_argument(
        "--remote-executor", default="", metavar="URL", help="the Remote Execution service"
    )
    parser.add_argument(
        "--platform-property",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what actions ask of workers; again for more",
    )
    parser.add_argument(
        "--fetches", type=common.number, default=32, help="at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--jobs", type=common.number, default=0, help="remote actions at a time (default: Bazel's)"
    )
    parser.add_argument(
        "--wrapper",
        choices=list(wrapper.SCRIPTS),
        help="also tools/bazel, which starts the agent before Bazel, "
        "and with 'ensure' has what the server has lost sent again",
    )


def _bazelrc(options: argparse.Namespace) -> Bundle:
    host = settings.choose(host=options.host).host
    flags = bazel_flags.bundle(
        bazel_flags.FlagsPlan(
            host,
            str(options.sign_key.expanduser().absolute()) if options.sign_key else "",
            options.remote_executor,
            tuple(options.platform_property),
            options.fetches,
            options.jobs,
        )
    )
    return wrapper.with_script(flags, options.wrapper, host) if options.wrapper else flags


def _add_agent(parser: argparse.ArgumentParser) -> None:
    _finish(parser, _agent)
    parser.add_argument(
        "--write",
        dest="out",
        action="store_const",
        const=_units_folder(),
        help="write the units to the user's systemd folder",
    )
    parser.add_argument(
        "--program", metavar="FILE", help="program to start (default: the nix-remote on PATH)"
    )


def _agent(options: argparse.Namespace) -> Bundle:
    program = options.program or shutil.which("nix-remote")
    if program is None:
        raise SetupInputUnusable("--program", "the path of nix-remote: it is not on PATH")
    return agent_units.bundle(
        agent_units.AgentPlan(program, settings.own_environment().get("PATH", ""))
    )


def _units_folder() -> Path:
    given = Path(settings.own_environment().get("XDG_CONFIG_HOME", ""))
    return (given if given.is_absolute() else Path("~/.config").expanduser()) / "systemd/user"


def _finish(
    parser: argparse.ArgumentParser, generate: Callable[[argparse.Namespace], Bundle]
) -> None:
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write the files there instead of printing them"
    )
    parser.set_defaults(set_up=lambda options: _result(options, generate(options)))


def _result(options: argparse.Namespace, bundle: Bundle) -> Result[FilesData]:
    out: Optional[Path] = options.out
    if out is not None and out.exists() and not out.is_dir():
        raise SetupInputUnusable("--out", "a folder, or a name that does not exist yet")
    return Result(
        "setup",
        {
            "what": options.kind,
            "files": {file.path: file.text for file in bundle.files},
            "script": bundle.script,
            "written": write_all(out, bundle.written()) if out is not None else [],
            "printed": "" if out is not None else bundle.printed(),
            "use": bundle.use,
        },
    )


def conclude(data: FilesData) -> str:
    """The written files, and how to use them."""
    return "\n".join([*(f"wrote {file}" for file in data["written"]), data["use"]])
