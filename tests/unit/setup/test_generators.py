"""What `nix-remote setup` generates: as recorded, explained, and safe whatever it is given."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.errors import SetupInputUnusable
from nix_remote.settings import DEFAULT_SETTLE
from nix_remote.setup import (
    agent_units,
    bazel_flags,
    executor,
    inputs,
    kubernetes,
    nfs,
    server,
)
from nix_remote.setup.bundle import File, put
from tests.golden.setup_files import BUNDLES, FOLDER, KEY, SERVER

FILES = [
    pytest.param(file, id=f"{name}:{file.path}")
    for name, bundle in BUNDLES.items()
    for file in bundle.written()
]


@pytest.mark.parametrize("name", BUNDLES)
def test_what_is_generated_is_what_is_recorded(name: str) -> None:
    """After a change that is meant: python -m tests.golden.setup_files, and look at the diff."""
    folder = FOLDER / name
    recorded = {str(f.relative_to(folder)): f.read_text() for f in folder.rglob("*") if f.is_file()}
    assert recorded == {file.path: file.text for file in BUNDLES[name].written()}


def test_nothing_else_is_recorded() -> None:
    assert {folder.name for folder in FOLDER.iterdir()} == set(BUNDLES)


@pytest.mark.parametrize("file", FILES)
def test_every_part_of_a_file_says_why_it_is_there(file: File) -> None:
    # Programs, in a file of their own or in a NixOS module, are code: comments stand where needed.
    text = "" if file.mode == 0o755 else file.text.partition("\nin\n")[2] or file.text
    for part in re.split(r"\n(?:\n|---\n|\[[A-Z]\w+\]\n)", text):
        lines = [line.strip() for line in part.splitlines() if line.strip()]
        explained = any(line.startswith(("#", "//", "Description")) for line in lines)
        assert explained or len(lines) <= 2, part


@pytest.mark.parametrize("file", [f for f in FILES if f.values[0].mode == 0o755])  # type: ignore[union-attr]
def test_scripts_are_scripts_that_a_shell_understands(file: File, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(file.text)
    subprocess.run(["sh", "-n", str(tmp_path / "script")], check=True, timeout=10)
    assert not re.findall(r"@[A-Z]+@", file.text)


def test_a_script_makes_the_files_with_their_modes(tmp_path: Path) -> None:
    files = [
        File(f"{tmp_path}/a/b", "one $HOME `two`\n'three'\\\n", 0o755),
        File(f"{tmp_path}/c", ""),
    ]
    for _ in range(2):
        subprocess.run(["sh", "-euc", put(files)], check=True, timeout=10)
    assert [Path(file.path).read_text() for file in files] == [file.text for file in files]
    assert [Path(file.path).stat().st_mode & 0o777 for file in files] == [0o755, 0o644]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a", tmp_path / "c"]


def test_the_line_in_fstab_replaces_an_earlier_one_and_joins_none(tmp_path: Path) -> None:
    fstab, kept = tmp_path / "fstab", tmp_path / "kept"
    kept.write_text("/dev/a / ext4 rw 0 1\nold:/nix/store /nix/store nfs ro 0 0\n# the last line")
    kept.chmod(0o640)
    fstab.symlink_to(kept)
    script = BUNDLES["executor-fstab"].script
    begin, end = script.index("mkdir -p /etc\n"), script.index("# To change the options of")
    lines = script[begin:end].replace("/etc", str(tmp_path)).splitlines()
    # What makes a folder or looks at the store is not of it.
    start = next(at for at, line in enumerate(lines) if line.startswith("# The mount would hide"))
    stop = next(
        at for at, line in enumerate(lines) if line.startswith("# Replaces an earlier line")
    )
    steps = "\n".join(["set -eu", *lines[:start], *lines[stop:]])
    for _ in range(2):
        subprocess.run(["sh"], input=steps, text=True, check=True, timeout=10)
        first, second, third = kept.read_text().splitlines()
        assert (first, second) == ("/dev/a / ext4 rw 0 1", "# the last line")
        assert third.startswith(f"{SERVER}:/nix/store /nix/store nfs ro,")
    assert fstab.is_symlink()
    assert kept.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("way", executor.Way)
def test_the_cache_is_there_before_the_mount_uses_it(way: executor.Way) -> None:
    plan = executor.ExecutorPlan(SERVER, way, cache_size=2**30)
    text = executor.bundle(plan).printed()
    assert re.search(r"^[^#]*nosuid,nodev(,_netdev,nofail)?,fsc\b", text, re.M)
    assert "size=1073741824\n" in text
    cache = text.index(
        "enable, --now, nix-store-cache" if "#cloud" in text else "restart nix-store-c"
    )
    mounts = ("--now, nix-store.mount", "restart nix-store.mount", "mount /nix", "restart autofs")
    assert cache < max(text.rfind(mount) for mount in mounts)


def test_without_a_size_there_is_no_cache_and_a_small_one_is_refused() -> None:
    assert "fsc" not in executor.bundle(executor.ExecutorPlan(SERVER)).printed()
    with pytest.raises(SetupInputUnusable, match="--cache"):
        executor.bundle(executor.ExecutorPlan(SERVER, cache_size=2**28 - 1))
    with pytest.raises(SetupInputUnusable, match="--cache"):
        executor.bundle(executor.ExecutorPlan(SERVER, cache_size=0))


def test_a_file_that_would_end_its_own_here_document_is_refused() -> None:
    with pytest.raises(ValueError, match="/etc/x"):
        put([File("/etc/x", "a\nEND-OF-FILE\nreboot\n")])


def test_the_mount_sees_new_paths_within_the_settle_time_whatever_the_way() -> None:
    for name, bundle in BUNDLES.items():
        if name.startswith("executor") or name == "kubernetes-claim":
            text = "".join(file.text for file in bundle.written())
            (longest,) = set(re.findall(r"^[^#]*acdirmax=(\d+)", text, re.M))
            assert int(longest) == DEFAULT_SETTLE, name


def test_every_option_of_a_mount_and_of_an_export_has_its_reason() -> None:
    for option in nfs.MOUNT_OPTIONS:
        assert re.search(rf"^# (\S+,)?{re.escape(option)}[ ,]", nfs.MOUNT_REASONS, re.M)
    for fsid in ("", "1"):
        for option in nfs.export_options(fsid).split(","):
            assert re.search(rf"^# {option.partition('=')[0]} ", nfs.export_reasons(fsid), re.M)


def test_a_file_system_without_a_uuid_is_exported_without_subtree_check() -> None:
    assert nfs.export_options("") == "ro,sync,all_squash,subtree_check"
    assert nfs.export_options("1") == "ro,sync,all_squash,no_subtree_check,fsid=1"


EVIL = ("", "a b", "a\nb", "$(id)", "`id`", "'", '"', "\\", "a;b", "-x", "{x}", "x: y\n", "é")


@pytest.mark.parametrize("text", EVIL)
def test_what_could_be_read_as_something_else_is_refused(text: str) -> None:
    plans: list[Callable[[], object]] = [
        lambda: server.bundle(server.ServerPlan(KEY, executors=(text,))),
        lambda: server.bundle(server.ServerPlan(KEY, account=text)),
        lambda: executor.bundle(executor.ExecutorPlan(text)),
        lambda: kubernetes.bundle(kubernetes.OverlayPlan("base", text)),
        lambda: kubernetes.bundle(kubernetes.OverlayPlan("base", SERVER, namespace=text)),
        lambda: kubernetes.bundle(kubernetes.OverlayPlan("base", SERVER, container=text)),
        lambda: agent_units.bundle(agent_units.AgentPlan(text, "/usr/bin")),
        lambda: inputs.nix_public_key(text),
        lambda: inputs.file_system_id(text),
        lambda: inputs.platform_property(text),
        lambda: inputs.remote_executor(text),
        lambda: inputs.resource(text, "--base") if text != "-x" else inputs.host(text, ""),
    ]
    for plan in plans:
        with pytest.raises(SetupInputUnusable):
            plan()


@given(st.text(max_size=30))
def test_fuzz_values_that_pass_are_one_harmless_word(text: str) -> None:
    checks: tuple[Callable[[str], str], ...] = (
        inputs.account,
        inputs.network,
        lambda value: inputs.host(value, ""),
        lambda value: inputs.resource(value, ""),
        inputs.platform_property,
        inputs.remote_executor,
    )
    for check in checks:
        try:
            value = check(text)
        except SetupInputUnusable:
            continue
        assert not re.search(r"[\s'\"`$\\;|&<>(){}]", value)


@pytest.mark.parametrize(
    ("text", "written"),
    [("nix.example.org", "nix.example.org"), ("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]")],
)
def test_a_server_is_written_as_nfs_takes_it(text: str, written: str) -> None:
    assert inputs.host(text, "") == inputs.host(inputs.host(text, ""), "") == written


def test_a_network_with_host_bits_is_refused_and_says_so() -> None:
    with pytest.raises(SetupInputUnusable, match="--executors") as refusal:
        inputs.network("10.1.2.3/16")
    assert "host bits" in refusal.value.fix


def test_flags_without_a_service_have_no_remote_ones() -> None:
    text = bazel_flags.bundle(bazel_flags.FlagsPlan("nix-server")).files[0].text
    assert "build:remote" not in text


@pytest.mark.parametrize("path", ["", "/usr/bin\nExecStartPre=/bin/reboot", "/a\x00", "/\udce9"])
def test_a_search_path_that_is_not_one_line_of_text_is_refused(path: str) -> None:
    with pytest.raises(SetupInputUnusable, match="PATH"):
        agent_units.bundle(agent_units.AgentPlan("/usr/bin/nix-remote", path))


def test_a_search_path_means_in_a_unit_what_it_means_in_a_shell() -> None:
    text = agent_units.bundle(agent_units.AgentPlan("/bin/x", '/a b:/50%t:/"c"\\d')).files[1].text
    assert 'Environment="PATH=/a b:/50%%t:/\\"c\\"\\\\d"' in text.splitlines()
