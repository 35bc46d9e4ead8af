"""A failed fetch shows what failed, why and the fix, in Bazel's output."""

from __future__ import annotations

import pytest

from tests.bazel.modes import ONE_OF_MODES
from tests.bazel.project import Project, new_package
from tests.conftest import AddEntry

pytestmark = [pytest.mark.timeout(180), ONE_OF_MODES]


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        (["HostName no.such.host"], 12, "host-not-found"),
        (["Port 1"], 12, "connection-refused"),
        (["UserKnownHostsFile /dev/null"], 13, "host-key-unknown"),
        (["IdentityFile /nonexistent"], 14, "login-refused"),
        (["ProxyJump elsewhere"], 12, "host-not-found"),
        (["Port http-or-so"], 10, "ssh-config-unreadable"),
    ],
)
def test_what_is_wrong_with_the_connection_is_shown(
    project: Project, entry: AddEntry, lines: list[str], status: int, code: str
) -> None:
    package = new_package()
    project.declare(package)
    failed = project.fetch(package, host=entry("odd", *lines))
    assert failed.status != 0
    # Bazel repeats the rule's error, a short one; the copier's text appears once.
    assert failed.stderr.count(f"nix-remote: {package.name}: error[{code}]") == 1
    assert failed.stderr.count("  fix: ") == 1
    assert f"to odd (exit status {status}): error[{code}]" in failed.stderr
    offline = "to build without the server until then: --repo_env=BAZEL_NIX_REMOTE=\n"
    assert (offline in failed.stderr) is (status == 12)
    # The agent of the shell does not reach a fetch by itself.
    named = "add to\n       a bazelrc: common --repo_env=SSH_AUTH_SOCK\n"
    assert (named in failed.stderr) is (code == "login-refused")


def test_a_failure_is_told_again_when_the_fetch_is_tried_again(
    project: Project, entry: AddEntry
) -> None:
    package = new_package()
    project.declare(package)
    alias = entry("odd", "Port 1")
    for _ in range(2):
        failed = project.fetch(package, host=alias)
        assert failed.stderr.count(f"nix-remote: {package.name}: error[connection-refused]") == 1
    # The fix that the message names.
    project.fetch(package, host="").check()


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
