"""Several servers, and the configuration of copies in a workspace."""

from __future__ import annotations

import pytest

from lab import bazel, nix
from lab.host import Host, wait_until
from lab.lab import ALIAS, Lab, alias
from tests.bazel.modes import ONE_OF_MODES
from tests.bazel.project import Mode, Package, Project, new_package

pytestmark = pytest.mark.timeout(180)

only_bzlmod = pytest.mark.parametrize(
    "project", [Mode.BZLMOD], indirect=True, ids=lambda mode: str(mode.value)
)


@pytest.fixture(scope="session")
def second_server(lab: Lab) -> Host:
    return lab.server_with(nix.Version.V2_26)


def _both(second_server: Host) -> list[str]:
    return [ALIAS, alias(second_server)]


def _check_valid(project: Project, package: Package, *servers: Host) -> None:
    (path,) = project.store_paths(package)
    for server in servers:
        assert nix.is_valid(server, path)


@ONE_OF_MODES
def test_every_server_that_is_named_gets_the_package(
    project: Project, lab: Lab, second_server: Host
) -> None:
    package = new_package()
    project.declare(package)
    hosts = _both(second_server)
    project.fetch(package, host="  ".join(hosts)).check()
    copies = project.python.copies()[-2:]
    assert {copy.option("host") for copy in copies} == set(hosts)
    assert len({copy.option("manifest") for copy in copies}) == 2
    _check_valid(project, package, lab.server, second_server)


_MEETING = "/root/meeting"


def _meeting_python(project: Project, script: str) -> str:
    """A script that replaces Python: its copiers wait for each other in an empty folder."""
    host = project.workspace.host
    path = f"{_MEETING}-python"
    host.sh(f"rm -rf {_MEETING} && mkdir {_MEETING}")
    host.write(path, script, mode="755")
    return path


# Each copier waits until one runs for each host, for at most ten seconds.
_MEET = f"""\
#!/bin/sh
for word; do
  case $word in --host=*) met=yes; : >"{_MEETING}/${{word#--host=}}" ;; esac
done
turns=0
while [ "$met" ] && [ "$(ls {_MEETING} | wc -l)" -lt 2 ]; do
  turns=$((turns + 1))
  if [ "$turns" -gt 200 ]; then echo "the other copier did not start" >&2; exit 9; fi
  sleep 0.05
done
exec /opt/nix-remote/bin/python "$@"
"""


@ONE_OF_MODES
def test_servers_are_copied_to_at_the_same_time(
    project: Project, lab: Lab, second_server: Host
) -> None:
    package = new_package()
    project.declare(package)
    python = _meeting_python(project, _MEET)
    hosts = " ".join(_both(second_server))
    project.fetch(package, host=hosts, env={"NIX_REMOTE_PYTHON": python}).check()
    _check_valid(project, package, lab.server, second_server)


_CLIENT = "/root/bazel-client"

# Copiers never end; the last of them interrupts Bazel, as Ctrl-C does.
_STAY = f"""\
#!/bin/sh
for word; do
  case $word in --host=*) copies=yes; echo "$$" >"{_MEETING}/${{word#--host=}}" ;; esac
done
[ "$copies" ] || exec /opt/nix-remote/bin/python "$@"
if [ "$(ls {_MEETING} | wc -l)" = 2 ]; then kill -INT "$(cat {_CLIENT})"; fi
exec sleep 300
"""


@ONE_OF_MODES
def test_an_interrupted_bazel_leaves_no_copier_behind(
    project: Project, second_server: Host
) -> None:
    package = new_package()
    project.declare(package)
    host = project.workspace.host
    python = _meeting_python(project, _STAY)
    query = f"exec bazel query @{package.name}//:all"
    script = f"echo $$ >{_CLIENT}; cd {project.workspace.folder}; {query}"
    interrupted = host.run(
        ["sh", "-c", script],
        env={"BAZEL_NIX_REMOTE": " ".join(_both(second_server)), "NIX_REMOTE_PYTHON": python},
        timeout=60,
    )
    assert interrupted.status == 8  # Bazel's exit status after an interrupt
    copiers = host.sh(f"cat {_MEETING}/*").split()
    assert len(copiers) == 2
    wait_until(
        lambda: not any(host.has_process(pid) for pid in copiers),
        "the copiers are gone",
    )
    project.fetch(package).check()


@ONE_OF_MODES
def test_all_servers_have_to_succeed(project: Project, lab: Lab) -> None:
    package = new_package()
    project.declare(package)
    failed = project.fetch(package, host=f"no-such-host {ALIAS}")
    assert failed.status != 0
    assert f"could not copy @{package.name} to no-such-host (exit status 12)" in failed.stderr
    assert failed.stderr.count("nix_remote could not copy") == failed.stderr.count("no-such-host (")
    _check_valid(project, package, lab.server)
    project.fetch(package).check()


@ONE_OF_MODES
def test_every_server_that_fails_is_named_with_its_own_reason(project: Project) -> None:
    package = new_package()
    project.declare(package)
    failed = project.fetch(package, host="no-such-host -dash")
    assert failed.status != 0
    could_not = f"nix_remote could not copy @{package.name} to"
    assert f"{could_not} no-such-host (exit status 12): error[host-not-found]" in failed.stderr
    assert "error[host-not-found]: Nix server not found: no-such-host" in failed.stderr
    assert f"{could_not} -dash (exit status 2): error[invalid-host-alias]" in failed.stderr
    assert "error[invalid-host-alias]: invalid name of a Nix server: '-dash'" in failed.stderr


@ONE_OF_MODES
def test_blanks_name_no_server(project: Project) -> None:
    package = new_package()
    project.declare(package)
    before = project.python.copies()
    project.fetch(package, host="  ").check()
    assert project.python.copies() == before


def test_what_is_configured_reaches_the_copier(project: Project, lab: Lab) -> None:
    package, extra = new_package(), new_package()
    (extra_path,) = project.store_paths(extra)
    project.declare(
        package,
        configuration=f"store_paths = ['{extra_path}'], substitute = True,"
        " transport = 'openssh', workspace = '/ci/project'",
    )
    project.fetch(package).check()
    copy = project.python.copies()[-1]
    assert "--substitute" in copy.words
    assert copy.option("transport") == "openssh"
    assert copy.option("workspace") == "/ci/project"
    assert copy.store_paths == project.store_paths(package) | {extra_path}
    assert nix.is_valid(lab.server, extra_path)


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        ("transport = 'telnet'", 'unknown transport "telnet"'),
        ("store_paths = ['bash']", '`store_paths` contains "bash"'),
    ],
)
def test_what_cannot_be_is_refused(project: Project, configuration: str, text: str) -> None:
    package = new_package()
    project.declare(package, configuration=configuration)
    failed = project.fetch(package, host=None)
    assert failed.status != 0
    assert text in failed.stderr
    assert "  Fix: " in failed.stderr


@only_bzlmod
def test_two_configurations_are_refused(project: Project) -> None:
    package = new_package()
    project.declare(package, more="nix_remote.configure()")
    failed = project.fetch(package, host=None)
    assert failed.status != 0
    assert "more than one nix_remote.configure(...)" in failed.stderr


_RENAMED = """
bazel_dep(name = "renamed", version = "0")
local_path_override(module_name = "renamed", path = "renamed")
nix_remote.toolchain(name = "java", bzl = "@renamed//:java.bzl")
"""


@only_bzlmod
@pytest.mark.thorough
def test_a_toolchain_module_of_another_name_can_be_pointed_out(project: Project) -> None:
    folder = project.workspace.folder
    host = project.workspace.host
    host.sh(f"cp -r {bazel.RULES_NIXPKGS}/toolchains/java {folder}/renamed")
    module = host.read(f"{folder}/renamed/MODULE.bazel")
    host.write(f"{folder}/renamed/MODULE.bazel", module.replace("rules_nixpkgs_java", "renamed"))
    project.declare(more=_RENAMED)
    project.workspace.write(
        {"BUILD.bazel": 'load("@nix_remote//bzl/toolchains:java.bzl", "nixpkgs_java_configure")\n'}
    )
    project.bazel("query", "//:all", host=None).check()


@pytest.mark.thorough
def test_the_python_of_the_environment_can_be_a_label(project: Project) -> None:
    package = new_package()
    script = '#!/bin/sh\ntouch /root/python-was-run\nexec /usr/bin/python3 "$@"\n'
    host = project.workspace.host
    host.write(f"{project.workspace.folder}/python3", script, mode="755")
    project.declare(package, configuration="python = '//:python3'")
    project.fetch(package, env={"NIX_REMOTE_PYTHON": ""}).check()
    assert host.run(["test", "-e", "/root/python-was-run"]).status == 0
