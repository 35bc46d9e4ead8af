"""The promise of `nix-remote copy` when it exits with 0."""

from __future__ import annotations

import re

import pytest

from lab import nix
from lab.lab import ALIAS, ROOT_ALIAS, Lab
from tests.integration.copier import (
    Copier,
    assert_kept_whole,
    new_closure,
    over_both_transports,
    root_links,
)


@over_both_transports
@pytest.mark.parametrize("alias", [ALIAS, ROOT_ALIAS])
def test_the_whole_closure_arrives_and_is_registered_as_here(
    lab: Lab, copier: Copier, alias: str
) -> None:
    closure = new_closure(lab.workstation, megabytes=1)
    copied = copier.copy(closure[-1], alias=alias)
    assert sorted(copied["closure"]) == sorted(closure)
    assert_kept_whole(lab.server, lab.workstation, closure)


@over_both_transports
def test_what_is_there_is_not_sent_again(lab: Lab, copier: Copier) -> None:
    closure = new_closure(lab.workstation)
    top = closure[-1]
    (middle,) = [path for path in closure if "-middle-" in path]
    copier.copy(middle)
    assert copier.copy(top)["sent"] == [top]
    again = copier.copy(top)
    assert again["sent"] == []
    assert again["sent_bytes"] == 0
    assert_kept_whole(lab.server, lab.workstation, closure)


def test_several_paths_are_copied_at_once_and_each_is_kept(lab: Lab, copier: Copier) -> None:
    one, two = new_closure(lab.workstation), new_closure(lab.workstation)
    copied = copier.copy(one[-1], two[-1], one[-1])
    assert set(copied["roots"]) == {one[-1], two[-1]}
    assert_kept_whole(lab.server, lab.workstation, one + two)


def test_links_and_paths_below_a_store_path_mean_that_store_path(lab: Lab, copier: Copier) -> None:
    top = new_closure(lab.workstation)[-1]
    lab.workstation.sh(f"ln -sfn {top} /root/result")
    assert copier.copy("/root/result")["roots"].keys() == {top}
    assert copier.copy(f"{top}/references")["roots"].keys() == {top}


@over_both_transports
def test_garbage_collection_keeps_the_closure_until_its_root_is_gone(
    lab: Lab, copier: Copier
) -> None:
    closure = new_closure(lab.workstation)
    # No other test's root keeps these.
    own = [path for path in closure if re.search(r"-(leaf|middle|top)-\d+$", path)]
    assert len(own) == 3
    copier.copy(closure[-1])
    nix.collect_garbage(lab.server)
    assert_kept_whole(lab.server, lab.workstation, closure)

    links = [link for link, target in root_links(lab.server).items() if target == closure[-1]]
    assert len(links) == 1
    lab.server.sh(f"rm {links[0]}")
    deleted = nix.collect_garbage(lab.server)
    assert set(own) <= set(deleted)
    assert not any(nix.is_valid(lab.server, path) for path in own)


def test_a_root_says_for_which_workspace_and_package_it_is(lab: Lab, copier: Copier) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.run("--package", "my_package", top).check()
    (link,) = [link for link, target in root_links(lab.server).items() if target == top]
    assert re.search(r"/gcroots/app-[0-9a-f]{8}/my_package/[^/]+-top-\d+$", link)


def test_a_root_is_renewed_when_its_path_is_copied_again(lab: Lab, copier: Copier) -> None:
    top = new_closure(lab.workstation)[-1]
    copier.copy(top)
    (link,) = [link for link, target in root_links(lab.server).items() if target == top]
    lab.server.sh(f"touch --no-dereference --date=2001-01-01 {link}")
    copier.copy(top)
    assert int(lab.server.sh(f"stat --format=%Y {link}")) > 1_600_000_000


@over_both_transports
def test_one_login_and_nothing_left_behind(lab: Lab, copier: Copier) -> None:
    closure = new_closure(lab.workstation)
    before, there = lab.ssh_server.logins(), left_behind(lab)
    copier.copy(closure[-1])
    assert lab.ssh_server.logins() == before + 1
    assert lab.workstation.run(["pgrep", "-f", "nix_[r]emote"]).status == 1
    assert lab.workstation.run(["pgrep", "-x", "ssh|cat"]).text == ""
    # Empty lock files and no socket; everything else is from other tests.
    left = left_behind(lab)
    assert {"f agent.lock 0", f"f turn-{ALIAS} 0"} <= left
    assert all(
        re.fullmatch(r"(f (agent\.lock|turn-\S+) 0|d nix-remote-0 \d+)", new)
        for new in left - there
    )


def left_behind(lab: Lab) -> set[str]:
    """The content of the copier's folders on the workstation: type, name, size."""
    return set(
        lab.workstation.sh("find /tmp -path '/tmp/nix-remote-*' -printf '%y %f %s\\n'").splitlines()
    )


def test_the_second_time_is_silent(lab: Lab, copier: Copier) -> None:
    top = new_closure(lab.workstation)[-1]
    first = copier.run(top).check()
    assert re.search(r"sending \d of \d paths to nix-server", first.stderr)
    assert re.search(r"sent \d paths \(.*\) to nix-server", first.stderr)
    second = copier.run(top).check()
    assert second.text == ""


@over_both_transports
def test_verbose_says_how(lab: Lab, copier: Copier) -> None:
    text = copier.run("-v", new_closure(lab.workstation)[-1]).check().stderr
    transport = {"paramiko": r"paramiko, aes\d+-gcm", "openssh": "openssh, [a-z0-9-]+@openssh.com"}
    assert re.search(f"connected to nix-server: {transport[copier.transport or '']}", text)
    assert re.search(r"worker protocol 1\.\d+, (Nix|Lix|Determinate Nix) \d+\.\d+", text)
    assert "which trusts us" in text
