import re
from pathlib import PurePosixPath

import pytest

from nix_remote.remote.gc_roots import FOLDER, Owner, location
from tests.support.paths import path

OWNER = Owner("laptop", "ada", PurePosixPath("/home/ada/my project"))


def test_a_person_can_read_workspace_package_and_path() -> None:
    found = location(OWNER, "gcc", path("gcc-12"))
    assert re.fullmatch(
        rf"{re.escape(FOLDER)}/my-project-[0-9a-f]{{8}}/gcc/[a-z0-9]{{32}}-gcc-12", found
    )


def test_without_a_package_the_store_paths_name_is_used() -> None:
    assert "/hello-2.10/" in location(OWNER, None, path("hello-2.10"))


def test_workspaces_of_the_same_name_are_told_apart() -> None:
    others = [
        Owner("desktop", "ada", OWNER.workspace),
        Owner("laptop", "bob", OWNER.workspace),
        Owner("laptop", "ada", PurePosixPath("/tmp/my project")),
    ]
    assert len({owner.folder for owner in [OWNER, *others]}) == 4


@pytest.mark.parametrize("name", ["..", "../../etc", "/", "", ".hidden", "a\nb", "-rf", "x" * 300])
def test_a_name_never_leaves_its_folder(name: str) -> None:
    parts = location(OWNER, name, path("a"))[len(FOLDER) + 1 :].split("/")
    assert len(parts) == 3
    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,63}", parts[1])
