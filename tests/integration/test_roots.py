"""`nix-remote roots` shows and removes the durable roots on the server."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any, Iterator

import pytest

from lab.commands import Outcome
from lab.host import Host
from lab.lab import ALIAS, Lab
from tests.integration.copier import Copier, new_closure, root_links


def roots(lab: Lab, *words: str) -> list[dict[str, Any]]:
    command = ["nix-remote", "roots", f"--host={ALIAS}", "--json", *words]
    data = json.loads(lab.workstation.run(command).check().stdout)["data"]
    found: list[dict[str, Any]] = data["roots"]
    return found


@contextmanager
def collecting(server: Host) -> Iterator[None]:
    """Garbage collections, one after the other, for the length of a `with` block."""
    loop = "while [ ! -e /run/calm ]; do nix-store --gc >/dev/null 2>&1; done"
    server.sh("rm -f /run/calm")
    collector = server.popen(["sh", "-c", loop])
    try:
        yield
    finally:
        server.sh("touch /run/calm")
        collector.wait(timeout=60)


def test_a_copy_is_listed_with_workspace_package_and_age(lab: Lab, copier: Copier) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.run("--package", "listed", top).check()
    (root,) = [root for root in roots(lab, "list") if root["path"] == top]
    assert root["workspace"].startswith("app-")
    assert root["package"] == "listed"
    assert 0 <= root["age"] < 60
    assert [one["path"] for one in roots(lab, "list", "--workspace", "app")].count(top) == 1
    assert roots(lab, "list", "--workspace", "nobody") == []


@pytest.mark.parametrize("protocol", ["worker", "serve"])
@pytest.mark.parametrize("way", ["alone", "two-at-once", "after-it-was-lost"])
def test_each_way_to_answer_a_copy_renews_the_root(
    lab: Lab, copier: Copier, protocol: str, way: str
) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.copy(top)
    (link,) = [link for link, target in root_links(lab.server).items() if target == top]
    lab.server.sh(f"touch --no-dereference --date='3 hours ago' {link}")
    env = {"NIX_REMOTE_PROTOCOL": protocol}
    command = copier.command(top)
    if way == "after-it-was-lost":
        lab.server.sh(f"rm {link}; nix-store --gc >/dev/null 2>&1")
    if way == "two-at-once":
        second = lab.workstation.popen(command, env=env)
        copier.copy(top, env=env)
        assert second.wait(timeout=60) == 0
    else:
        copier.copy(top, env=env)
    (age,) = [root["age"] for root in roots(lab, "list") if root["path"] == top]
    assert age < 600


def test_old_roots_are_removed_and_young_ones_stay(lab: Lab, copier: Copier) -> None:
    old, young = new_closure(lab.workstation)[-1], new_closure(lab.workstation)[-1]
    copier.copy(old)
    copier.copy(young)
    (link,) = [link for link, target in root_links(lab.server).items() if target == old]
    lab.server.sh(f"touch --no-dereference --date=2001-01-01 {link}")

    would = roots(lab, "prune", "--older-than", "30d", "--dry-run")
    assert [root["path"] for root in would] == [old]
    assert link in root_links(lab.server)

    assert [root["path"] for root in roots(lab, "prune", "--older-than", "30d")] == [old]
    left = root_links(lab.server)
    assert link not in left
    assert young in left.values()
    # Its folder goes a day later: a copy may be making a root there now.
    folder = link.rpartition("/")[0]
    assert lab.server.run(["test", "-d", folder]).status == 0
    lab.server.sh(f"touch --date='2 days ago' {folder}")
    copier.copy(old)
    lab.server.sh(f"touch --no-dereference --date=2001-01-01 {link}")
    roots(lab, "prune", "--older-than", "30d")
    assert lab.server.run(["test", "-e", link]).status == 1


def test_a_root_that_is_used_meanwhile_stays(lab: Lab, copier: Copier) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.copy(top)
    (link,) = [link for link, target in root_links(lab.server).items() if target == top]
    lab.server.sh(f"touch --no-dereference --date=2001-01-01 {link}")
    code = """
import sys
from nix_remote import events, settings
from nix_remote.server import connect
from nix_remote.server.gc_roots.listing import list_roots, remove_roots
chosen = settings.choose(host=sys.argv[1])
with connect.open_remote_exec(chosen, events.ignore) as remote_exec:
    found = list_roots(remote_exec, chosen.host)
    old = [root for root in found.roots if root.path == sys.argv[2]]
    open("/root/listed", "w").close()
    open("/root/copied").read()
    print(len(old), len(remove_roots(remote_exec, chosen.host, old)))
"""
    # Between its look and its removal, the path is copied again.
    lab.workstation.write("/root/pruner.py", code)
    done = lab.workstation.sh(
        f"""
        mkfifo /root/listed /root/copied
        /opt/nix-remote/bin/python /root/pruner.py {ALIAS} {top} & pruner=$!
        cat /root/listed
        nix-remote copy --workspace=/root/projects/app --host {ALIAS} {top}
        echo >/root/copied
        wait $pruner
        """
    )
    assert done.split() == ["1", "0"]
    assert root_links(lab.server)[link] == top


def test_a_root_that_was_used_a_moment_ago_stays_unless_that_is_said(
    lab: Lab, copier: Copier
) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.copy(top)
    for words in (["--workspace", "/root/projects/app"], ["--older-than", "0s"]):
        assert top not in [root["path"] for root in roots(lab, "prune", *words)]
    removed = roots(lab, "prune", "--workspace", "/root/projects/app", "--grace", "0s")
    assert top in [root["path"] for root in removed]


def test_the_workspace_of_another_user_is_not_pruned_by_its_name(lab: Lab, copier: Copier) -> None:
    mine, theirs = new_closure(lab.workstation)[-1], new_closure(lab.workstation)[-1]
    copier.copy(mine)
    copy = ["nix-remote", "copy", f"--host={ALIAS}", "--workspace=/root/projects/app", theirs]
    lab.workstation.run(copy, env={"LOGNAME": "ada"}).check()
    at_once = ["prune", "--grace", "0s", "--workspace"]

    def pruned(name: str, *words: str, folder: str) -> Outcome:
        command = " ".join(["nix-remote roots", f"--host={ALIAS}", *at_once, name, *words])
        return lab.workstation.run(["sh", "-c", f"mkdir -p {folder}; cd {folder}; {command}"])

    refused = pruned("app", folder="/tmp")
    assert refused.status == 2
    assert "error[workspace-ambiguous]" in refused.stderr
    left = root_links(lab.server)
    assert {mine, theirs} <= set(left.values())
    # In the workspace itself the name is clear, as its folder is anywhere.
    pruned("app", folder="/root/projects/app").check()
    assert mine not in root_links(lab.server).values()
    assert theirs in root_links(lab.server).values()
    (folder,) = {root["workspace"] for root in roots(lab, "list") if root["path"] == theirs}
    copier.copy(mine)
    pruned(folder, folder="/tmp").check()
    assert theirs not in root_links(lab.server).values()
    assert mine in root_links(lab.server).values()
    pruned("app", "--all-owners", folder="/tmp").check()
    assert mine not in root_links(lab.server).values()


@pytest.mark.parametrize("jump", ["+10 years", "-10 years"])
def test_nothing_is_pruned_by_a_clock_that_is_wrong(lab: Lab, copier: Copier, jump: str) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.copy(top)
    date = lab.server.sh("command -v date").strip()
    lab.server.sh(f"mv {date} {date}.real")
    lab.server.write(date, f'#!/bin/sh\nexec {date}.real --date="{jump}" "$@"\n', mode="755")
    try:
        refused = lab.workstation.run(
            ["nix-remote", "roots", f"--host={ALIAS}", "prune", "--older-than", "30d"]
        )
    finally:
        lab.server.sh(f"mv {date}.real {date}")
    assert refused.status == 18
    assert "error[clocks-disagree]" in refused.stderr
    assert top in root_links(lab.server).values()


def test_a_renewal_while_a_removal_runs_leaves_a_root_that_nix_knows(
    lab: Lab, copier: Copier
) -> None:
    """Copies, removals without any grace, and collections, all at the same time."""
    tops = [new_closure(lab.workstation)[-1] for _ in range(3)]
    copier.copy(*tops)
    with collecting(lab.server):
        for _ in range(4):
            pruner = lab.workstation.popen(
                ["nix-remote", "roots", f"--host={ALIAS}", "prune", "--older-than=0s", "--grace=0s"]
            )
            copier.copy(*tops)
            assert pruner.wait(timeout=120) == 0
            links = root_links(lab.server)
            find = "find /nix/var/nix/gcroots/auto -ignore_readdir_race -type l -printf '%l\\n'"
            known = lab.server.sh(find).split()
            assert {link for link, path in links.items() if path in tops} <= set(known)
            copier.copy(*tops)


def test_pruning_can_wait_until_there_is_too_little_room(lab: Lab, copier: Copier) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.copy(top)
    (link,) = [link for link, target in root_links(lab.server).items() if target == top]
    lab.server.sh(f"touch --no-dereference --date=2001-01-01 {link}")
    old = ["prune", "--older-than", "30d"]
    assert roots(lab, *old, "--when-free-below", "1M") == []
    found = roots(lab, *old, "--when-free-below", "900T", "--dry-run")
    assert [root["path"] for root in found] == [top]
    assert [root["path"] for root in roots(lab, *old, "--when-free-below", "900T")] == [top]


def test_pruning_everything_has_to_be_said(lab: Lab) -> None:
    refused = lab.workstation.run(["nix-remote", "roots", f"--host={ALIAS}", "prune"])
    assert refused.status == 2
    assert "error[nothing-to-select-by]" in refused.stderr


def test_no_roots_at_all_is_an_empty_list(lab: Lab) -> None:
    found = lab.workstation.run(["nix-remote", "roots", "--host=nix-server-root", "list"])
    assert found.status == 0
    assert "found" in found.stderr
