"""`doctor` and `verify` through a real Remote Execution service, BuildGrid, and its executors."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, Iterator

import pytest

from lab import nix, remote_execution
from lab.commands import Outcome
from lab.lab import ALIAS, Lab
from nix_remote.remote_execution.protobuf import encode
from tests.integration.copier import Copier
from tests.unit.remote_execution.examples import EXAMPLES

Finding = dict[str, Any]

DEBIAN = ("/bin", "/lib", "/lib64", "/usr")
POOLS = {"usual": (*DEBIAN, "/nix/store"), "bare": ("/nix/store",), "storeless": DEBIAN}
"""What the actions of each pool see."""
USUAL, BARE, STORELESS = (f"--exec-property=pool={pool}" for pool in POOLS)


def url(lab: Lab) -> str:
    return f"grpc://{lab.service.address}:{remote_execution.PORT}"


def findings(done: Outcome) -> dict[tuple[str, str], Finding]:
    """By layer and subject."""
    found: list[Finding] = json.loads(done.stdout)["data"]["findings"]
    assert done.status == (1 if any(each["status"] == "broken" for each in found) else 0)
    assert all(each["fix"] for each in found if each["status"] in ("broken", "warning"))
    return {(each["layer"], each["subject"]): each for each in found}


def examine(lab: Lab, *words: str) -> dict[tuple[str, str], Finding]:
    """The findings of doctor about executors."""
    command = ["nix-remote", "doctor", ALIAS, "--not-exported", "--json"]
    done = lab.workstation.run([*command, f"--remote-executor={url(lab)}", *words], timeout=60)
    ours = ("remote", "mount", "path")
    return {key: each for key, each in findings(done).items() if key[0] in ours}


def verify(lab: Lab, *words: str) -> dict[tuple[str, str], Finding]:
    command = ["nix-remote", "verify", "--json", f"--remote-executor={url(lab)}"]
    return findings(lab.workstation.run([*command, *words], timeout=60))


def statuses(found: dict[tuple[str, str], Finding]) -> dict[tuple[str, str], str]:
    return {key: each["status"] for key, each in found.items()}


@pytest.fixture(scope="module", autouse=True)
def workers(lab: Lab) -> Iterator[None]:
    for pool, folders in POOLS.items():
        remote_execution.start_worker_of_pool(lab.executor, lab.service, pool, folders)
    yield
    for pool in POOLS:
        remote_execution.stop_worker_of_pool(lab.executor, pool)


# The doctor, which looks for what it has just sent


def test_an_executor_that_sees_the_store(lab: Lab) -> None:
    found = examine(lab, USUAL)
    (path,) = [subject for layer, subject in found if layer == "path"]
    assert path.endswith("-nix-remote-doctor")
    assert statuses(found) == {
        ("remote", "service"): "ok",
        ("remote", "executor"): "ok",
        ("mount", "store"): "ok",
        ("mount", "read-only"): "ok",
        # The lab's executors see the server's folder without NFS.
        ("mount", "new paths"): "unknown",
        ("path", path): "ok",
    }
    assert "worker-usual" in found["remote", "executor"]["text"]


def test_an_executor_that_does_not_see_the_store(lab: Lab) -> None:
    found = examine(lab, STORELESS)
    assert found["mount", "store"]["text"] == "nothing is mounted on /nix/store"
    (broken,) = [each for (layer, _), each in found.items() if layer == "path"]
    assert broken["status"] == "broken"
    assert "docs/executors.md" in broken["fix"]


def test_an_executor_without_a_shell(lab: Lab) -> None:
    found = examine(lab, BARE)
    assert statuses(found) == {("remote", "service"): "ok", ("remote", "shell"): "unknown"}
    assert "/bin/sh: No such file" in found["remote", "shell"]["text"]
    assert "nix-remote verify --remote-executor" in found["remote", "shell"]["fix"]


@pytest.fixture
def workspace(lab: Lab, copier: Copier) -> Iterator[str]:
    """A Bazel workspace that has had bash copied."""
    folder, base = "/root/workspaces/remote", "/root/remote-base"
    links = f"mkdir -p {folder} {base}; ln -sfn {base}/execroot/_main/bazel-out {folder}/bazel-out"
    lab.workstation.sh(links)
    lab.workstation.write(f"{folder}/MODULE.bazel", "")
    lab.workstation.write(f"{base}/DO_NOT_BUILD_HERE", folder)
    manifest = f"{base}/external/bash/bazel-support/nix-remote/manifest.json"
    lab.workstation.sh(f"mkdir -p {Path(manifest).parent}")
    copier.copy(f"--manifest={manifest}", nix.build(lab.workstation, ["bash"])["bash"])
    yield folder
    lab.workstation.sh(f"rm -r {folder} {base}")


def test_a_shell_that_was_copied_for_the_workspace_looks(lab: Lab, workspace: str) -> None:
    found = examine(lab, BARE, f"--workspace={workspace}")
    assert re.search(r"ran /nix/store/\S+/bin/(ba)?sh$", found["remote", "executor"]["text"])
    assert [each["status"] for key, each in found.items() if key[0] == "path"] == ["ok"]


# The service


def test_no_worker_with_these_properties(lab: Lab) -> None:
    found = examine(lab, "--exec-property=pool=nobody", "--remote-timeout=1s")
    assert "[action-not-taken]" in found["remote", "executor"]["text"]
    assert "pool=nobody" in found["remote", "executor"]["text"]
    assert "--exec-property" in found["remote", "executor"]["fix"]
    query = "select count(*) from jobs where stage < 4"
    left = lab.service.sh(f"psql -h /run/postgresql -U buildgrid -Atc '{query}' postgres")
    assert left == "0\n"


def test_a_property_that_the_service_does_not_know(lab: Lab) -> None:
    found = examine(lab, "--exec-property=colour=blue")
    assert "[execution-refused]" in found["remote", "executor"]["text"]
    assert "colour" in found["remote", "executor"]["text"]


def test_another_instance(lab: Lab) -> None:
    found = examine(lab, "--remote-instance-name=other")
    assert "[execution-refused]" in found["remote", "service"]["text"]
    assert "--remote-instance-name" in found["remote", "service"]["fix"]


def test_a_port_without_a_listener(lab: Lab) -> None:
    found = examine(lab, f"--remote-executor=grpc://{lab.service.address}:1")
    assert list(found) == [("remote", "service")]
    assert "[execution-service-unreachable]" in found["remote", "service"]["text"]


# Paths that are given


def test_a_closure_with_a_shell_on_an_executor_without_one(lab: Lab, copier: Copier) -> None:
    path = nix.build(lab.workstation, ["bash"])["bash"]
    copier.copy(path)
    closure = nix.closure(lab.workstation, path)
    found = verify(lab, BARE, path)
    assert {key: found[key]["status"] for key in found if key[0] == "path"} == {
        ("path", each): "ok" for each in closure
    }


def test_what_was_seen_before_does_not_count(lab: Lab, copier: Copier) -> None:
    path = nix.build(lab.workstation, ["bash"])["bash"]
    copier.copy(path)
    assert verify(lab, USUAL, path)["path", path]["status"] == "ok"
    with nix.moved_away(lab.server, path):
        assert verify(lab, USUAL, path)["path", path]["status"] == "broken"


def test_a_closure_that_no_shell_can_look_for(lab: Lab) -> None:
    path = nix.build(lab.workstation, ["bash"])["bash"]
    nix.empty_store(lab.server)
    found = verify(lab, BARE, path)
    assert found["remote", "shell"]["status"] == "broken"
    assert path in found["remote", "shell"]["text"]


def test_paths_that_no_shell_can_look_for_are_not_verified(lab: Lab, copier: Copier) -> None:
    path = nix.build(lab.workstation, ["glibc"])["glibc"]
    copier.copy(path)
    found = verify(lab, BARE, path)
    assert statuses(found) == {("remote", "service"): "ok", ("remote", "shell"): "broken"}


# The messages, as the library of protocol buffers takes them, with BuildGrid's description

_NAMES = {
    "Property": "Platform.Property",
    "Version": "SemVer",
    "UpdateRequest": "BatchUpdateBlobsRequest.Request",
    "UpdateResponse": "BatchUpdateBlobsResponse.Response",
    "ReadResponse": "BatchReadBlobsResponse.Response",
}
"""What we call otherwise."""

_LIBRARY = """
import json, sys
from functools import reduce
from google.protobuf import any_pb2, duration_pb2
from buildgrid._protos.build.bazel.semver import semver_pb2
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2
from buildgrid._protos.google.longrunning import operations_pb2
from buildgrid._protos.google.rpc import status_pb2
modules = [
    remote_execution_pb2, operations_pb2, status_pb2, semver_pb2, any_pb2, duration_pb2
]

def as_ours(value, ours):
    if isinstance(ours, dict):
        return {name: as_ours(getattr(value, name), each) for name, each in ours.items()}
    if isinstance(ours, list):
        return [as_ours(*pair) for pair in zip(value, ours, strict=True)]
    return value.hex() if isinstance(value, bytes) else value

told = []
for name, fields, data in json.load(sys.stdin):
    (module,) = [each for each in modules if hasattr(each, name.split(".")[0])]
    message = reduce(getattr, name.split("."), module).FromString(bytes.fromhex(data))
    again = message.SerializeToString(deterministic=True).hex()
    told.append([name, as_ours(message, fields), again])
json.dump(told, sys.stdout)
"""


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_json(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_as_json(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value


def test_the_library_reads_our_messages_and_writes_the_same_bytes(lab: Lab) -> None:
    ours = []
    for example in EXAMPLES:
        name = type(example).__name__
        fields = _as_json(asdict(example))  # type: ignore[call-overload]
        ours.append([_NAMES.get(name, name), fields, encode(example).hex()])
    python = ["/opt/buildgrid/bin/python", "-c", _LIBRARY]
    done = lab.service.run(python, stdin=json.dumps(ours)).check()
    assert json.loads(done.stdout) == ours
