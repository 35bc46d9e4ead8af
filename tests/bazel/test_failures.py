"""A fetch that fails shows the reason: what, why and the fix, as Bazel prints it."""

from __future__ import annotations

import pytest

from tests.bazel.project import Project, new_package
from tests.conftest import AddEntry

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["HostName no.such.host"], "host-not-found"),
        (["Port 1"], "connection-refused"),
        (["UserKnownHostsFile /dev/null"], "host-key-unknown"),
        (["IdentityFile /nonexistent"], "login-refused"),
        (["ProxyJump elsewhere"], "host-not-found"),
        (["Port http-or-so"], "ssh-config-unreadable"),
    ],
)
def test_what_is_wrong_with_the_connection_is_shown(
    project: Project, entry: AddEntry, lines: list[str], code: str
) -> None:
    package = new_package()
    project.declare(package)
    failed = project.fetch(package, host=entry("odd", *lines))
    assert failed.status != 0
    assert f"nix-remote: {package.name}: error[{code}]" in failed.stderr
    assert "  fix: " in failed.stderr


@pytest.mark.parametrize(
    "host", ["a\tb", "'nix'", '"nix"', "$(touch /root/owned)", "a\nb", "-oProxyCommand=id"]
)
def test_a_name_that_a_shell_could_misread_is_refused(project: Project, host: str) -> None:
    package = new_package()
    project.declare(package)
    failed = project.fetch(package, host=host)
    assert failed.status != 0
    assert f"nix-remote: {package.name}: error[invalid-host-alias]" in failed.stderr
    assert project.workspace.host.run(["test", "-e", "/root/owned"]).status == 1
