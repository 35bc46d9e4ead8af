"""The list of packages that the Bazel rules install: complete, as far as it can be seen offline."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.requirements import lock, tools
from tests.requirements.lock import File, Machine, Pin
from tests.versions import cells

PINS = lock.parse(lock.PATH.read_text())

PYTHONS = [(3, minor) for minor in range(9, 15)]


def linux(processor: str, libc: Sequence[str]) -> Machine:
    return Machine((3, 9), "linux", processor, tuple(f"{tag}_{processor}" for tag in libc))


def macos(processor: str, versions: Sequence[str]) -> Machine:
    kinds = (processor, "universal2")
    tags = tuple(f"macosx_{version}_{kind}" for version in versions for kind in kinds)
    return Machine((3, 9), "darwin", processor, tags)


GLIBC = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""What runs with the libc of RHEL 8, the oldest that the packages are made for."""
MUSL = ("musllinux_1_2", "musllinux_1_1")
MACOS = ("11_0", "12_0", "13_0", *(f"10_{minor}" for minor in range(9, 16)))

PLATFORMS = {
    "linux-x86_64": linux("x86_64", GLIBC),
    "linux-aarch64": linux("aarch64", GLIBC),
    "musl-x86_64": linux("x86_64", MUSL),
    "musl-aarch64": linux("aarch64", MUSL),
    "macos-arm64": macos("arm64", MACOS),
    "macos-x86_64": macos("x86_64", MACOS),
}
MACHINES = [
    pytest.param(replace(machine, python=python), id=f"{python[0]}.{python[1]}-{name}")
    for python in PYTHONS
    for name, machine in PLATFORMS.items()
]
FILE = File("a-1-py3-none-any.whl", "0" * 64)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_machine_has_one_version_of_each_package_and_a_file_of_it(machine: Machine) -> None:
    needed = [pin for pin in PINS if machine.needs(pin)]
    names = [pin.name for pin in needed]
    assert len(names) == len(set(names))
    asked_for = {canonicalize_name(Requirement(each).name) for each in tools.wanted()}
    assert asked_for <= set(names)
    without = [pin.requirement for pin in needed if not any(map(machine.runs, pin.files))]
    assert without == []


@pytest.mark.parametrize("wanted", tools.wanted())
def test_the_versions_are_those_that_the_copier_works_with(wanted: str) -> None:
    requirement = Requirement(wanted)
    found = [pin.version for pin in PINS if pin.name == canonicalize_name(requirement.name)]
    assert found
    assert all(map(requirement.specifier.contains, found))


def test_the_newest_versions_that_are_tried_are_those_of_the_list() -> None:
    newest = {"paramiko": cells.PARAMIKO[-1], "cryptography": cells.CRYPTOGRAPHY[-1]}
    for name, version in newest.items():
        found = [Version(pin.version) for pin in PINS if pin.name == name]
        assert max(found) == Version(version)


def test_the_oldest_versions_that_are_tried_are_the_oldest_that_are_asked_for() -> None:
    oldest = {"paramiko": cells.PARAMIKO[0], "cryptography": cells.CRYPTOGRAPHY[0]}
    asked_for = {Requirement(each).name: Requirement(each).specifier for each in tools.wanted()}
    for name, version in {**oldest, "sshconf": cells.SSHCONF}.items():
        assert [Version(each.version) for each in asked_for[name]] == [Version(version)]


def test_what_is_written_is_read_again() -> None:
    assert lock.parse(lock.render(PINS)) == PINS


def test_a_file_without_a_hash_is_refused() -> None:
    text = lock.render([Pin("a==1", (FILE,))])
    with pytest.raises(ValueError, match="0 files and 1 hashes"):
        lock.parse(text.replace(f"# {FILE.name}\n", ""))


def test_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="not made"):
        lock.parse(lock.render([Pin("a==1", (FILE,))]).replace(" \\\n    ", " "))


def test_only_files_for_systems_and_pythons_that_are_supported_are_kept() -> None:
    kept = [
        replace(FILE, name=f"a-1-{tags}.whl")
        for tags in ("cp37-abi3-macosx_10_12_universal2", "cp39-cp39-manylinux_2_28_x86_64")
    ]
    others = [
        replace(FILE, name=f"a-1-{tags}.whl")
        for tags in ("cp38-cp38-manylinux_2_28_x86_64", "cp311-abi3-win_amd64")
    ]
    lines = "a==1 ; python_full_version < '3.11'\n"
    (pin,) = lock.pins(lines, {("a", "1"): [*others, *kept]})
    assert pin == Pin("a==1 ; python_full_version < '3.11'", tuple(kept))


def test_files_of_the_resolver() -> None:
    text = f'wheels = [\n    {{ url = "x://y/{FILE.name}", hash = "sha256:{FILE.sha256}" }},\n]\n'
    assert lock.files_of_uv_lock(text) == {("a", "1"): [FILE]}


def test_packages_with_several_versions_are_parted() -> None:
    first, second, other = Pin("a==1", ()), Pin("a==2", ()), Pin("b==1", ())
    assert list(lock.by_package([first, second, other])) == [[first, other], [second]]
