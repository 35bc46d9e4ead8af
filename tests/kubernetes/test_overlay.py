"""The overlay gives the store to the container that runs actions, and changes nothing else."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from lab.commands import check
from lab.go_tools import JSONNET, KUSTOMIZE
from nix_remote.cli.main import main
from nix_remote.setup.kubernetes import Volume
from nix_remote.setup.nfs import MOUNT_OPTIONS

pytestmark = pytest.mark.timeout(900)  # The first time, both programs are built.

Object = dict[str, Any]
Objects = dict[tuple[str, str], Object]


def render(folder: Path) -> Objects:
    """What kustomize makes of a folder, by kind and name."""
    text = check([KUSTOMIZE.program(), "build", folder])
    found = list(yaml.safe_load_all(text))
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def overlay(folder: Path, base: Path, *words: str) -> Objects:
    """The base with an overlay that `nix-remote setup kubernetes` writes."""
    where = os.path.relpath(base / "kubernetes", folder)
    options = ["--base", where, "--out", str(folder), *words]
    assert main(["setup", "kubernetes", *options]) == 0
    return render(folder)


def worker(objects: Objects) -> Object:
    spec: Object = objects["Deployment", "worker-ubuntu22-04"]["spec"]["template"]["spec"]
    return spec


def container(objects: Objects, name: str) -> Object:
    (found,) = [each for each in worker(objects)["containers"] if each["name"] == name]
    assert isinstance(found, dict)
    return found


def volume(objects: Objects, name: str) -> Object:
    (found,) = [each for each in worker(objects)["volumes"] if each["name"] == name]
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def base(bb_deployments: Path) -> Objects:
    return render(bb_deployments / "kubernetes")


@pytest.mark.parametrize("kind", list(Volume), ids=lambda kind: str(kind.value))
def test_only_the_runner_gets_the_store_and_only_to_read(
    kind: Volume, base: Objects, bb_deployments: Path, tmp_path: Path
) -> None:
    words = [f"--volume={kind.value}", "--server=nix.example.org"]
    after = overlay(tmp_path / "overlay", bb_deployments, *words)
    runner = container(after, "runner")
    (mount,) = [each for each in runner["volumeMounts"] if each["mountPath"] == "/nix/store"]
    assert mount["readOnly"] is True
    assert container(after, "worker") == container(base, "worker")

    # Without what was added, it is what it was.
    rest = copy.deepcopy(after)
    spec = worker(rest)
    added = ("nix-store", "nix-remote-runner")
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] not in added]
    bare = container(rest, "runner")
    bare["volumeMounts"] = [each for each in bare["volumeMounts"] if each["name"] not in added]
    assert bare.pop("command") == ["/bb/bb_runner", "/nix-remote/runner-with-nix-store.jsonnet"]
    expected = copy.deepcopy(base)
    container(expected, "runner").pop("command")
    for objects in (rest, expected):
        worker(objects)["containers"].sort(key=lambda each: str(each["name"]))
    extra = set(rest) - set(expected)
    assert {key: rest[key] for key in expected} == expected
    kinds = ["ConfigMap", *(["PersistentVolume", "PersistentVolumeClaim"] * (kind is Volume.CLAIM))]
    assert sorted(kind for kind, _ in extra) == kinds


@pytest.mark.parametrize("kind", list(Volume), ids=lambda kind: str(kind.value))
@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_everything_is_valid_by_the_schemas_of_kubernetes(
    kind: Volume, version: str, bb_deployments: Path, tmp_path: Path
) -> None:
    words = [f"--volume={kind.value}", "--server=nix.example.org"]
    for each in overlay(tmp_path / "overlay", bb_deployments, *words).values():
        kubernetes_validate.validate(each, version, strict=True)


def test_the_schemas_find_a_mistake(bb_deployments: Path, tmp_path: Path) -> None:
    objects = overlay(tmp_path / "overlay", bb_deployments, "--server=nix.example.org")
    store = objects["PersistentVolume", "buildbarn-nix-store"]
    store["spec"]["mountOption"] = store["spec"].pop("mountOptions")
    with pytest.raises(kubernetes_validate.ValidationError, match="mountOption"):
        kubernetes_validate.validate(store, "1.37", strict=True)


def test_the_volume_has_the_options_and_is_bound_to_the_claim(
    bb_deployments: Path, tmp_path: Path
) -> None:
    objects = overlay(tmp_path / "overlay", bb_deployments, "--server=10.1.0.5")
    store = objects["PersistentVolume", "buildbarn-nix-store"]["spec"]
    claim = objects["PersistentVolumeClaim", "nix-store"]
    assert store["mountOptions"] == [option for option in MOUNT_OPTIONS if option != "ro"]
    assert store["nfs"] == {"server": "10.1.0.5", "path": "/nix/store", "readOnly": True}
    names = {key: claim["metadata"][key] for key in ("namespace", "name")}
    assert store["claimRef"] == names
    assert claim["spec"]["volumeName"] == "buildbarn-nix-store"
    for each in (store, claim["spec"]):
        # Any other class, or none, lets a provisioner make a volume instead.
        assert each["storageClassName"] == ""
        assert each["accessModes"] == ["ReadOnlyMany"]
    used = volume(objects, "nix-store")["persistentVolumeClaim"]
    assert used == {"claimName": "nix-store", "readOnly": True}


def test_the_runner_is_not_ready_without_the_store_and_else_as_it_was(
    base: Objects, bb_deployments: Path, tmp_path: Path
) -> None:
    objects = overlay(tmp_path / "overlay", bb_deployments, "--server=nix.example.org")
    name = volume(objects, "nix-remote-runner")["configMap"]["name"]
    configuration = objects["ConfigMap", name]["data"]["runner-with-nix-store.jsonnet"]
    (original,) = [each["data"] for (kind, _), each in base.items() if kind == "ConfigMap"]
    folder = tmp_path / "config"
    folder.mkdir()
    for file, text in original.items():
        (folder / file).write_text(text)
    (tmp_path / "runner.jsonnet").write_text(configuration.replace("'/config/", f"'{folder}/"))

    def evaluate(file: Path) -> Object:
        found: Object = json.loads(check([JSONNET.program(), file]))
        return found

    changed = evaluate(tmp_path / "runner.jsonnet")
    assert changed.pop("readinessCheckingPathnames") == ["/nix/store/.links"]
    assert changed == evaluate(folder / "runner-ubuntu22-04.jsonnet")


def test_the_checkout_stays_as_it_is(bb_deployments: Path, tmp_path: Path) -> None:
    shutil.copytree(bb_deployments / "kubernetes", tmp_path / "base" / "kubernetes")
    overlay(tmp_path / "overlay", tmp_path / "base", "--server=nix.example.org")
    before, after = (
        {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in (bb_deployments / "kubernetes", tmp_path / "base" / "kubernetes")
    )
    assert before == after
