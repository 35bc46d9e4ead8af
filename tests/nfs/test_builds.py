"""Remote builds on a machine that mounts the store over NFS, with its own kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

import pytest

from lab import bazel, nix, remote_execution, sshd
from lab.bazel import Workspace
from lab.commands import Outcome
from lab.host import wait_until
from lab.lab import SETTLE
from nix_remote.setup import exact
from nix_remote.setup import nfs as chosen
from tests.bazel import examples
from tests.nfs.site import Site

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def example(either: Site, rules_nixpkgs: Path) -> Iterator[Workspace]:
    """An example's workspace. Its actions run on the machine, which has no mount yet."""
    site = either
    bazel.prepare(site.workstation, site.lab.service, rules_nixpkgs)
    with examples.workspace(site.workstation, "hello_bzlmod") as workspace:
        site.lab.executor.stop_service("worker")
        nix.empty_store(site.server)
        yield workspace
    site.executor.stop_service("worker")
    remote_execution.start_worker(site.lab.executor, site.lab.service)


def build(example: Workspace, site: Site, *, host: str) -> Outcome:
    env = site.copier_environment
    return examples.remotely(example, "build", "//:greeting", host=host, env=env, timeout=180)


def begin(site: Site, options: str, runner: str = remote_execution.BUBBLEWRAP) -> None:
    """Mounts, and takes actions. The worker is started after the mount, as docs say."""
    site.mount(options)
    remote_execution.start_worker(site.executor, site.lab.service, runner)


def test_a_build_right_after_one_that_failed_succeeds(either: Site, example: Workspace) -> None:
    begin(either, chosen.mount_options())
    failed = build(example, either, host="")
    assert failed.status != 0
    assert "No such file or directory" in failed.stderr, failed.stderr
    passed = build(example, either, host=either.server.name).check()
    assert "1 remote" in passed.stderr
    assert "Hello, world!" in example.host.read(f"{example.folder}/bazel-bin/greeting.txt")


@pytest.mark.parametrize("either", ["site"], indirect=True, ids=["kernel"])
def test_with_the_program_in_front_of_the_runner_no_copy_has_to_wait(
    either: Site, example: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With options under which it fails otherwise: the next test."""
    site = either
    monkeypatch.setitem(site.workstation.environment, SETTLE, "0")
    program = exact.program(remote_execution.BUBBLEWRAP)
    site.executor.write(exact.PATH, program.text, mode=f"{program.mode:o}")
    begin(site, "ro,nfsvers=4.2", runner=exact.PATH)
    assert build(example, site, host="").status != 0
    passed = build(example, site, host=site.server.name).check()
    assert "1 remote" in passed.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("either", ["site"], indirect=True, ids=["kernel"])
def test_with_the_usual_options_it_fails_although_everything_was_copied(
    either: Site, example: Workspace
) -> None:
    """What our options are for."""
    begin(either, "ro,nfsvers=4.2")
    assert build(example, either, host="").status != 0
    again = build(example, either, host=either.server.name)
    shell = nix.build(example.host, ["bash"])["bash"]
    assert nix.is_valid(either.server, shell)
    assert again.status != 0
    assert "No such file or directory" in again.stderr
    wait_until(
        lambda: build(example, either, host=either.server.name).status == 0,
        "the client to forget",
        timeout=150,
        interval=1,
    )


def test_verify_looks_through_the_executors_mount(unmounted: Site) -> None:
    site = unmounted
    entry = sshd.SshServer(site.executor, 22)
    sshd.introduce(site.workstation, entry, {"machine": "root"})
    site.mount(chosen.mount_options())
    hello = nix.build(site.workstation, ["hello"])["hello"]
    verify = ["nix-remote", "verify", "--json", "--executor", "machine", hello]

    def found() -> dict[str, str]:
        done = site.workstation.run(verify)
        findings = json.loads(done.stdout)["data"]["findings"]
        assert done.status == (1 if any(each["status"] == "broken" for each in findings) else 0)
        return {each["subject"]: each["status"] for each in findings}

    nix.empty_store(site.server)
    assert found()[hello] == "broken"
    site.copy(hello)
    seen = found()
    closure = nix.closure(site.workstation, hello)
    assert {path: seen[path] for path in closure} == dict.fromkeys(closure, "ok")
    doctor = ["nix-remote", "doctor", site.server.name, "--executor", "machine", "--json"]
    looked = json.loads(site.workstation.run(doctor).stdout)["data"]["findings"]
    mount = {each["subject"]: each["status"] for each in looked if each["layer"] == "mount"}
    assert mount == dict.fromkeys(("store", "read-only", "new paths", "patience"), "ok")


@pytest.mark.thorough
@pytest.mark.parametrize("either", ["site"], indirect=True, ids=["kernel"])
def test_the_c_example_is_compiled_through_the_mount(either: Site, example: Workspace) -> None:
    """A compiler, its headers and libraries: hundreds of files, and many look-ups in vain."""
    nix.build(either.workstation, ["gcc"])
    rc = bazel.toolchain_modules("cc") + "common --noenable_workspace\n"
    files = {"user.bazelrc": rc, **examples.TOOLCHAIN_PACKAGE_SET}
    with examples.workspace(example.host, "cc", files) as workspace:
        begin(either, chosen.mount_options())
        host, env = either.server.name, either.copier_environment
        built = examples.remotely(workspace, "build", "//:greeted", host=host, env=env, timeout=300)
        built.check()
    greeted = workspace.host.read(f"{workspace.folder}/bazel-bin/greeted.txt")
    assert greeted == "Hello, executor with GCC 12\n"
    assert either.executor.log("worker").count("Runner exited with code") >= 4
