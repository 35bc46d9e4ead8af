import os
import pwd
import re
import subprocess
from pathlib import PurePosixPath

import pytest

from nix_remote.server.gc_roots.names import (
    FOLDER,
    SET_ROOT_FOLDERS,
    Owner,
    asked_location,
    candidate_locations,
    location,
)
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


def test_a_root_has_the_same_name_in_every_place() -> None:
    wanted = location(OWNER, "gcc", path("gcc-12"))
    found = candidate_locations("me", "/home/me", wanted)
    assert found[0] == f"/home/me/{wanted}"
    assert len(found) == 3
    assert {asked_location(each) for each in found} == {wanted}


def test_without_a_home_folder_the_first_place_is_where_the_session_runs() -> None:
    wanted = location(OWNER, "gcc", path("gcc-12"))
    assert candidate_locations("me", None, wanted)[0] == wanted


@pytest.mark.parametrize("account", ["..", ".", "a/b", "", "-x", "DOMAIN\\me"])
def test_an_account_whose_name_is_no_folder_has_its_home_folder_only(account: str) -> None:
    assert candidate_locations(account, "/home/me", "x/y") == ("/home/me/x/y",)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_list_looks_in_every_place_that_a_copy_uses(shell: str) -> None:
    user = pwd.getpwuid(os.getuid())

    def listed(home: str) -> list[str]:
        script = f'{SET_ROOT_FOLDERS} for place do echo "$place"; done'
        environment = {"PATH": "/usr/bin:/bin", "HOME": home}
        done = subprocess.run(
            [shell, "-c", script], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.splitlines()

    home = os.path.realpath(user.pw_dir)
    wanted = [
        each.removesuffix("/x") for each in candidate_locations(user.pw_name, home, f"{FOLDER}/x")
    ]
    assert listed(user.pw_dir) == wanted
    # Where the account's variable names another folder, older roots may be there.
    assert listed("/tmp") == [*wanted, f"/tmp/{FOLDER}"]
